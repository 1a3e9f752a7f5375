"""`okr account`, `okr api-key`, `okr auth` and `okr audit`."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from serving.auth.account_rules import check_assigns, check_manages
from serving.auth.assignment import Assignment
from serving.auth.auth_services import Auth
from serving.auth.roles import Role
from serving.commands import app
from serving.errors import InvalidAccount, NotAllowed, NotFound
from tests.polling import until
from tests.serving.auth.conftest import OPERATOR, log_in, new_account, status
from tests.serving.live_server import Api

Run = Callable[..., Result]


@pytest.fixture
def okr(api: Api, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with the settings of the running application."""
    for name in ("dsn_serving", "dsn_organisation", "redis_url", "jwt_secret"):
        monkeypatch.setenv(f"OKR_{name.upper()}", api.settings.require(name))

    def run(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, arguments, input=stdin)

    return run


def test_an_account_is_added_with_a_password_from_stdin_listed_changed_and_disabled(api: Api, okr: Run) -> None:
    added = okr(
        "account", "add", "anna", "--role", "lead", "--organisation", "acme", "--team", "t1", "--team", "t2",
        "--password-stdin", stdin="a password of anna\n",
    )  # fmt: skip
    assert added.exit_code == 0, added.output
    me = api.client.get(
        "/auth/me", headers={"Authorization": f"Bearer {log_in(api, 'anna', 'a password of anna')['access_token']}"}
    )
    assert (me.json()["organisation_id"], me.json()["team_ids"]) == ("acme", ["t1", "t2"])
    changed = okr("account", "password", "anna", "--generate")
    password = changed.stdout.split()[-1]
    assert log_in(api, "anna", password)
    assert okr("account", "disable", "anna").exit_code == 0
    [line] = [line for line in okr("account", "list").output.splitlines() if line.startswith("anna\t")]
    assert line.split("\t")[1:5] == ["lead", "acme", "standard", "disabled"]


def test_an_account_is_changed_and_its_logins_are_shown_and_ended(api: Api, okr: Run, auth: Auth) -> None:
    new_account(auth, "carl")
    changed = okr("account", "change", "carl", "--role", "lead", "--organisation", "acme", "--team", "t1")
    assert changed.stdout.strip() == "carl: lead of acme, user None, plan standard, leads t1"
    changed = okr("account", "change", "carl", "--organisation", "", "--no-teams", "--plan", "service")
    assert changed.stdout.strip() == "carl: lead of every organisation, user None, plan service"
    assert "Unknown plan" in str(okr("account", "change", "carl", "--plan", "gold").exception)
    tokens = [log_in(api, "carl")["access_token"] for _ in range(2)]
    newest, _ = (line.split("\t")[0] for line in okr("account", "logins", "carl").stdout.splitlines())
    assert okr("account", "logout", "carl", "--login", newest).exit_code == 0
    assert len(okr("account", "logins", "carl").stdout.splitlines()) == 1
    assert "no login" in str(okr("account", "logout", "carl", "--login", newest).exception)
    assert okr("account", "logout", "carl").exit_code == 0
    until(lambda: [status(api, token) for token in tokens] == [401, 401], "both tokens are rejected")
    assert "account.logged_out_everywhere" in okr("audit", "list", "--subject", "carl", "--limit", "1").output


def test_roles_and_signing_keys_are_listed(okr: Run) -> None:
    roles = dict(line.split("\t") for line in okr("account", "roles").output.splitlines())
    assert (set(roles), "administer*" in roles["admin"]) == (set(Role), True)
    assert "accepted until it is replaced" in okr("auth", "list-keys").output


def test_a_one_time_password_is_replaced_on_the_page_before_the_first_login(api: Api, okr: Run) -> None:
    added = okr("account", "add", "dora", "--role", "viewer", "--one-time")
    form = {"username": "dora", "password": added.output.split()[-1]}
    page = api.client.post("/login", data=form)
    assert (page.status_code, "one-time password" in page.text, "set-cookie" in page.headers) == (200, True, False)
    new = {"new_password": "a password of dora", "again": "a password of dora"}
    for wrong, status_code in (({"again": "another"}, 422), ({"password": "wrong"}, 401), ({"new_password": "x"}, 422)):
        assert api.client.post("/password", data=form | new | wrong).status_code == status_code
    assert api.client.post("/password", data=form | new, headers={"Origin": "http://evil"}).status_code == 403
    assert api.client.post("/password", data=form | new).status_code == 200
    assert api.client.post("/login", data=form).status_code == 401
    assert api.client.post("/login", data=form | {"password": "a password of dora"}).status_code == 303
    assert api.client.get("/password").status_code == 200


def test_without_a_terminal_a_password_must_come_from_stdin_or_be_generated(okr: Run) -> None:
    assert "--password-stdin" in str(okr("account", "add", "nobody", "--role", "viewer").exception)


def test_a_key_is_added_rotated_listed_and_revoked(api: Api, auth: Auth, okr: Run) -> None:
    new_account(auth, "robot", Role.SERVICE)
    first = okr("api-key", "add", "robot", "--name", "export", "--scope", "read-data", "--days", "7").output.split()[-1]
    second = okr("api-key", "rotate", first[4:16]).output.split()[-1]
    assert [status(api, key) for key in (first, second)] == [200, 200]
    assert okr("api-key", "revoke", second[4:16]).exit_code == 0
    assert status(api, first) == 200
    listed = okr("api-key", "list", "--username", "robot").output.splitlines()
    assert [("revoked" in line, line[:12]) for line in listed] == [(True, second[4:16]), (False, first[4:16])]


def test_keys_are_rotated_and_the_log_is_verified(okr: Run, auth: Auth) -> None:
    assert okr("auth", "rotate-keys").exit_code == 0
    assert len(auth.signing_keys.jwks()["keys"]) >= 1
    verified = okr("audit", "verify")
    assert verified.exit_code == 0, verified.exception
    assert "events; the newest is" in verified.output
    assert "does not contain the event" in str(
        okr("audit", "verify", "--expect-id", "1", "--expect-hash", "00").exception
    )


def test_events_of_an_earlier_secret_are_verified_if_the_secret_or_its_key_is_named(
    okr: Run, auth: Auth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [earlier] = [line for line in okr("audit", "verify").output.splitlines() if "sealed with" in line]
    key, secrets = earlier.split("the key ")[1].split(";")[0], tmp_path / "secrets"
    secrets.write_text(os.environ["OKR_JWT_SECRET"] + "\n", encoding="utf-8")
    monkeypatch.setenv("OKR_JWT_SECRET", "another secret " * 5)
    assert f"sealed with the key {key}" in str(okr("audit", "verify").exception)
    named = okr("audit", "verify", "--earlier-secrets", str(secrets))
    assert (named.exit_code, "cannot be verified" in named.output) == (0, False), named.exception
    accepted = okr("audit", "verify", "--accept-key", key)
    assert (accepted.exit_code, "cannot be verified" in accepted.output) == (0, True), accepted.exception


@pytest.mark.parametrize(
    ("username", "password"), [("short", "too short"), ("longer.name", "longer.name"), ("Ünïcode", "a fine password")]
)
def test_an_invalid_account_is_not_created(auth: Auth, username: str, password: str) -> None:
    with pytest.raises(InvalidAccount):
        auth.account_changes.create(username, Role.VIEWER, password, Assignment(), OPERATOR)


def test_an_administrator_of_an_organisation_manages_only_its_accounts(auth: Auth) -> None:
    manager = new_account(auth, "manager", Role.ADMIN, Assignment("acme")).identity("")
    own, other = new_account(auth, "own", Role.LEAD, Assignment("acme")), new_account(auth, "other", Role.LEAD)
    assert check_manages(manager, "own", own) == own
    for account in (other, None):
        with pytest.raises(NotFound):
            check_manages(manager, "other", account)
    check_assigns(manager, Assignment("acme"))
    for assignment in (Assignment(), Assignment("globex")):
        with pytest.raises(NotAllowed):
            check_assigns(manager, assignment)


def test_an_account_with_as_many_teams_as_possible_has_usable_tokens(api: Api, auth: Auth) -> None:
    teams = tuple(f"{number:02}{'t' * 126}" for number in range(29))
    account = new_account(auth, "many-teams", Role.LEAD, Assignment("acme", "u", teams))
    assert status(api, auth.grants.first(account).access.text) == 200
    with pytest.raises(InvalidAccount):
        new_account(auth, "more-teams", Role.LEAD, Assignment("acme", "u", (*teams, "t" * 128, "u" * 128)))


def test_the_last_administrator_can_be_neither_disabled_nor_demoted(auth: Auth) -> None:
    for account in auth.accounts.listed():
        if account.role is Role.ADMIN and account.username != "admin" and not account.disabled_at:
            auth.account_changes.disable(account.username, OPERATOR)
    with pytest.raises(InvalidAccount, match="last"):
        auth.account_changes.disable("admin", OPERATOR)
    with pytest.raises(InvalidAccount, match="last"):
        auth.account_changes.change_role("admin", Role.LEAD, OPERATOR)
    assert auth.accounts.account("admin").disabled_at is None


def test_no_route_of_auth_accepts_fields_of_the_account(api: Api, auth: Auth) -> None:
    """Mass assignment: more fields than documented are rejected, and change nothing."""
    new_account(auth, "modest", Role.VIEWER)
    body = {"username": "modest", "password": "correct horse battery staple", "role": "admin", "organisation_id": None}
    assert api.client.post("/auth/token", json=body).status_code == 422
    form = api.client.post("/auth/token", data={name: value for name, value in body.items() if value})
    headers = {"Authorization": f"Bearer {form.json()['access_token']}"}
    assert api.client.get("/auth/me", headers=headers).json()["role"] == "viewer"
    grant = {"refresh_token": form.json()["refresh_token"], "role": "admin", "scope": "administer"}
    assert api.client.post("/auth/refresh", json=grant).status_code == 422
    assert api.client.request("DELETE", "/auth/sessions?username=admin", headers=headers).status_code == 422


def test_a_key_named_before_names_were_checked_is_listed_without_its_control_characters(
    okr: Run, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_account(auth, "earlier")
    with monkeypatch.context() as patch:
        patch.setattr("serving.auth.api_keys.fault_of_name", lambda _name: None)
        auth.api_keys.add("earlier", "\x1b[2J\nfake\tadmin", ["predict"], OPERATOR)
    [line] = okr("api-key", "list", "--username", "earlier").stdout.splitlines()
    assert line.split("\t")[2] == "?[2J?fake?admin"
