"""/admin/accounts and /admin/roles: the functions of `okr account`."""

import json
from typing import Any

import pytest

from serving.auth.roles import RIGHTS, Role
from tests.background_logs import BackgroundLog
from tests.serving.admin.operators import PASSWORD, OperatorClient

EXPIRE = "UPDATE auth.account SET password_expires_at = now() - interval '1 s' WHERE username = 'late'"


@pytest.fixture(scope="module")
def acme(operator: OperatorClient) -> OperatorClient:
    """The administrator of the organisation acme."""
    return operator.new_account("acme-admin", "admin", organisation_id="acme")


def test_an_account_is_disabled_and_enabled_and_both_are_audited(operator: OperatorClient) -> None:
    names = [each["username"] for each in operator.pages("/accounts", "accounts", limit=1)]
    assert names == sorted(names)
    assert {"admin", "app", "lead"} <= set(names)
    lead = operator.api.headers("lead")
    assert operator.post("/accounts/lead/disable")["disabled_at"] is not None
    assert operator.api.client.get("/models", headers=lead).status_code == 401
    enabled = operator.post("/accounts/lead/enable")
    assert enabled["disabled_at"] is None
    assert operator.get("/accounts/lead") == enabled
    [newest, before] = operator.get("/audit-log", subject="lead", limit=2)["audit_events"]
    assert [each["action"] for each in (newest, before)] == ["account.enabled", "account.disabled"]
    assert newest["actor"] == "admin"


def test_the_last_administrator_can_be_neither_disabled_nor_changed(operator: OperatorClient) -> None:
    operator.post("/accounts/admin/disable", status=422)
    for change in ({"role": "lead"}, {"organisation_id": "acme"}):
        assert "last" in operator.patch("/accounts/admin", change, status=422)["detail"]
    operator.post("/accounts/nobody/disable", status=404)
    shown = operator.get("/accounts/admin")
    assert (shown["disabled_at"], shown["role"], shown["organisation_id"]) == (None, "admin", None)


def test_a_new_account_chooses_its_password_with_a_one_time_password_that_only_one_response_contains(
    operator: OperatorClient, background_log: BackgroundLog
) -> None:
    created = operator.post("/accounts", {"username": "eve", "role": "lead", "team_ids": ["t"]}, status=201)
    secret, client = created.pop("one_time_password"), operator.api.client
    assert operator.get("/accounts/eve") == created
    credentials = {"username": "eve", "password": secret}
    refused = client.post("/auth/token", json=credentials)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:okr:problem:password-change-required")
    for invalid, status in (("short", 422), ("eve", 422), (secret, 422)):
        assert client.post("/auth/password", json={**credentials, "new_password": invalid}).status_code == status
    assert client.post("/auth/password", json={**credentials, "new_password": PASSWORD}).status_code == 204
    assert client.post("/auth/token", json=credentials).status_code == 401
    again = client.post("/auth/password", json={**credentials, "new_password": "another long password"})
    assert again.status_code == 401, "it can be used once"
    assert OperatorClient(operator.api, operator.logged_in("eve")).status() == 200
    assert operator.get("/accounts/eve")["password_expires_at"] is None
    taken = operator.post("/accounts", {"username": "eve", "role": "viewer"}, status=409)
    assert taken["type"] == "urn:okr:problem:conflict"
    logged = json.dumps(operator.get("/audit-log", subject="eve")["audit_events"]) + background_log.text
    assert "account.created" in logged
    assert secret not in logged
    assert PASSWORD not in logged


def test_a_password_is_reset_and_every_login_ends(operator: OperatorClient) -> None:
    forgetful = operator.new_account("forgetful", "viewer")
    secret = operator.post("/accounts/forgetful/password")["one_time_password"]
    assert forgetful.status() == 401
    assert operator.post("/accounts/forgetful/password")["one_time_password"] != secret
    assert operator.audited("account.password_changed")[-1]["details"] == {"is_one_time": True}


def test_an_expired_one_time_password_is_useless(operator: OperatorClient) -> None:
    secret = operator.post("/accounts", {"username": "late", "role": "viewer"}, status=201)["one_time_password"]
    with operator.api.services.warehouse.connection() as connection:
        connection.execute(
            "UPDATE auth.account SET password_expires_at = now() - interval '1 s' WHERE username = 'late'"
        )
    body = {"username": "late", "password": secret, "new_password": PASSWORD}
    answer = operator.api.client.post("/auth/password", json=body)
    assert (answer.status_code, "expired" in answer.json()["detail"]) == (401, True)


def test_a_change_is_recorded_with_what_it_replaced_and_a_repeat_ends_no_session(operator: OperatorClient) -> None:
    before = operator.new_account("bob", "viewer", organisation_id="acme")
    change = {"role": "lead", "team_ids": ["t1", "t2"], "plan": "service"}
    changed = operator.patch("/accounts/bob", change)
    assert {name: changed[name] for name in change} == change
    assert changed["organisation_id"] == "acme"
    assert before.status() == 401
    bob = operator.logged_in("bob")
    assert operator.patch("/accounts/bob", change) == changed
    assert OperatorClient(operator.api, bob).status() == 200
    assert operator.patch("/accounts/bob", {"organisation_id": None})["organisation_id"] is None
    first, second = (each["details"] for each in operator.audited("account.changed") if each["subject"] == "bob")
    assert (first["role_before"], first["role"], first["team_ids_before"]) == ("viewer", "lead", [])
    assert second == {"organisation_id": None, "organisation_id_before": "acme"}


@pytest.mark.parametrize(
    "body",
    [
        {"role": "root"}, {"role": None, "organisation_id": 7}, {"team_ids": "t"}, {"plan": "unlimited"},
        {"username": "x"}, {"password_hash": "x"}, {"credential_version": 1}, {"disabled_at": None},
        {"team_ids": ["t" * 128] * 100},
    ],
    ids=str,
)  # fmt: skip
def test_invalid_changes_are_rejected(operator: OperatorClient, body: dict[str, Any]) -> None:
    before = operator.get("/accounts/app")
    assert operator.patch("/accounts/app", body, status=422)["detail"]
    assert operator.get("/accounts/app") == before


def test_an_administrator_of_an_organisation_manages_only_its_accounts(
    operator: OperatorClient, acme: OperatorClient
) -> None:
    member = {"username": "acme-member", "role": "member"}
    assert acme.post("/accounts", member, status=201)["organisation_id"] == "acme"
    assert {each["organisation_id"] for each in acme.pages("/accounts", "accounts")} == {"acme"}
    for organisation in (None, "globex"):
        refused = {"username": "spy", "role": "member", "organisation_id": organisation}
        acme.post("/accounts", refused, status=403)
        acme.patch("/accounts/acme-member", {"organisation_id": organisation}, status=403)
    acme.post("/accounts", {"username": "spy", "role": "member", "plan": "internal"}, status=403)
    acme.patch("/accounts/acme-member", {"plan": "internal"}, status=403)
    assert acme.patch("/accounts/acme-member", {"role": "admin"})["role"] == "admin"
    operator.get("/accounts/spy", status=404)


def test_accounts_of_others_do_not_exist_for_an_administrator_of_an_organisation(acme: OperatorClient) -> None:
    for name in ("admin", "lead", "nobody"):
        details = {acme.get(f"/accounts/{name}", status=404)["detail"]}
        details.add(acme.patch(f"/accounts/{name}", {"role": "viewer"}, status=404)["detail"])
        details.add(acme.get(f"/accounts/{name}/sessions", status=404)["detail"])
        details.add(acme.delete(f"/accounts/{name}/sessions/{'0' * 64}", status=404)["detail"])
        for action in ("password", "disable", "enable", "logout"):
            details.add(acme.post(f"/accounts/{name}/{action}", status=404)["detail"])
        key = {"name": "x", "scopes": ["predict"]}
        details.add(acme.post(f"/accounts/{name}/api-keys", key, status=404)["detail"])
        assert details == {f"There is no account '{name}'."}


def test_nobody_manages_accounts_with_more_rights_than_the_own_credential(operator: OperatorClient) -> None:
    """An API key that may manage accounts must not make itself an administrator of the installation."""
    key = operator.post("/accounts/admin/api-keys", {"name": "x", "scopes": ["manage-accounts"]}, status=201)
    narrow = OperatorClient(operator.api, {"Authorization": f"Bearer {key['api_key']}"})
    assert narrow.get("/accounts/admin")["role"] == "admin"
    narrow.post("/accounts", {"username": "mallory", "role": "admin"}, status=403)
    for path in ("/accounts/admin/password", "/accounts/admin/disable", f"/api-keys/{key['prefix']}/revoke"):
        assert "administer" in narrow.post(path, status=403)["detail"]
    narrow.post("/accounts/admin/api-keys", {"name": "x", "scopes": ["administer"]}, status=403)
    operator.get("/accounts/mallory", status=404)


def test_roles_are_listed_with_their_rights(acme: OperatorClient) -> None:
    listed = {each["role"]: {right["scope"] for right in each["rights"]} for each in acme.get("/roles")["roles"]}
    assert listed == {role.value: {right.scope for right in RIGHTS[role]} for role in Role}
