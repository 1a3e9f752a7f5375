"""API keys: scopes, expiry, rotation with overlap, last use, and a cache that knows of revocations."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import psycopg
import pytest

from lakehouse.errors import NotPossible, RetryableError
from serving.auth import api_keys, credential_cache
from serving.auth.assignment import Assignment
from serving.auth.auth_services import Auth
from serving.auth.roles import Right, Role
from serving.errors import Conflict, InvalidAccount, NotSignedIn
from tests.serving.auth.conftest import OPERATOR, new_account, status
from tests.serving.live_server import Api


def test_a_key_has_the_rights_of_its_account_narrowed_by_its_scopes(api: Api, auth: Auth) -> None:
    new_account(auth, "scoped", Role.VIEWER, Assignment(organisation_id="acme"))
    key = auth.api_keys.add("scoped", "export", ["read-data", "administer"], OPERATOR).text
    identity = auth.authenticator.authenticate(f"Bearer {key}")
    assert (identity.rights, identity.organisation_id) == (frozenset({Right.READ_DATA}), "acme")
    assert identity.credential == f"key:{key[4:16]}"
    assert [status(api, key, path) for path in ("/v1/publication", "/admin/state")] == [503, 403]
    answer = api.client.post("/predict", json={"key_result_ids": ["k"]}, headers={"Authorization": f"bearer {key}"})
    assert (answer.status_code, "scope 'predict'" in answer.json()["detail"]) == (403, True)


def test_an_account_has_a_limited_number_of_valid_keys(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key has a rate limit of its own, so many keys would escape the plan."""
    monkeypatch.setattr(api_keys, "MAX_VALID_KEYS", 2)
    new_account(auth, "hoarding")

    def add() -> str:
        return auth.api_keys.add("hoarding", "export", ["predict"], OPERATOR).key.prefix

    first, _ = add(), add()
    with pytest.raises(NotPossible, match="2 valid API keys"):
        add()
    auth.api_keys.revoke(first, OPERATOR)
    assert add()


def test_rotations_with_overlap_do_not_exceed_the_number_of_valid_keys(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MAX_VALID_KEYS", 2)
    new_account(auth, "chaining")
    first, second = (auth.api_keys.add("chaining", "export", ["predict"], OPERATOR).key.prefix for _ in range(2))
    auth.api_keys.rotate(first, OPERATOR)
    with pytest.raises(NotPossible, match="3 valid API keys"):
        auth.api_keys.rotate(second, OPERATOR)
    auth.api_keys.rotate(second, OPERATOR, timedelta(0))
    assert sum(key.is_valid() for key in auth.api_keys.listed("chaining")) == 3


def test_keys_that_are_added_at_the_same_time_are_all_counted(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MAX_VALID_KEYS", 1)
    new_account(auth, "adding-at-once")

    def add(_number: int) -> bool:
        try:
            return bool(auth.api_keys.add("adding-at-once", "export", ["predict"], OPERATOR))
        except NotPossible:
            return False

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(add, range(8))) == 1


def test_a_repeated_request_is_told_of_its_key_also_if_no_further_one_is_allowed(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MAX_VALID_KEYS", 1)
    new_account(auth, "repeating")

    def add() -> str:
        new = auth.api_keys.add("repeating", "export", ["predict"], OPERATOR, idempotency_key="repeated at the limit")
        return new.key.prefix

    prefix = add()
    with pytest.raises(Conflict, match=prefix):
        add()


def test_only_a_hash_of_the_secret_is_stored(api: Api, auth: Auth) -> None:
    new_account(auth, "hidden")
    key = auth.api_keys.add("hidden", "export", ["predict"], OPERATOR).text
    with psycopg.connect(api.settings.require("dsn_owner")) as connection:
        rows = connection.execute("SELECT to_jsonb(api_key)::text FROM auth.api_key").fetchall()
    assert key.rpartition("_")[2] not in str(rows)


@pytest.mark.parametrize("change", ["prefix", "secret", "no secret", "other separator"])
def test_a_key_that_is_not_exactly_ours_is_rejected(api: Api, auth: Auth, change: str) -> None:
    name = f"guess-{change.replace(' ', '-')}"
    new_account(auth, name)
    key = auth.api_keys.add(name, "export", ["predict"], OPERATOR).text
    start, prefix, secret = key.split("_", 2)
    guesses = {
        "prefix": f"{start}_{'0' * 12}_{secret}", "secret": f"{start}_{prefix}_{secret[:-1]}{'AB'[secret[-1] == 'A']}",
        "no secret": f"{start}_{prefix}_", "other separator": f"{start}-{prefix}-{secret}",
    }  # fmt: skip
    assert status(api, guesses[change]) == 401


def test_an_expired_key_is_rejected_also_if_it_was_cached(auth: Auth) -> None:
    new_account(auth, "expiring")
    soon = datetime.now(UTC) + timedelta(seconds=0.4)
    header = f"Bearer {auth.api_keys.add('expiring', 'export', ['predict'], OPERATOR, soon).text}"
    assert auth.authenticator.authenticate(header)
    assert auth.authenticator.cached(header)
    time.sleep(0.5)
    assert auth.authenticator.cached(header) is None
    with pytest.raises(NotSignedIn):
        auth.authenticator.authenticate(header)


def test_a_rotated_key_stays_valid_for_the_overlap(auth: Auth) -> None:
    new_account(auth, "rotating")
    old = auth.api_keys.add("rotating", "export", ["predict"], OPERATOR)
    new = auth.api_keys.rotate(old.key.prefix, OPERATOR, timedelta(hours=1))
    for key in (old, new):
        assert auth.authenticator.authenticate(f"Bearer {key.text}").username == "rotating"
    listed = {key.prefix: key for key in auth.api_keys.listed("rotating")}
    assert listed[old.key.prefix].replaced_by == new.key.prefix
    with pytest.raises(NotPossible, match=new.key.prefix):
        auth.api_keys.rotate(old.key.prefix, OPERATOR)
    auth.api_keys.rotate(new.key.prefix, OPERATOR, timedelta(0))
    with pytest.raises(NotSignedIn):
        auth.authenticator.authenticate(f"Bearer {new.text}")


def test_a_revoked_key_is_rejected_by_every_worker_within_two_seconds(auth: Auth, other_worker: Auth) -> None:
    new_account(auth, "revoking")
    key = auth.api_keys.add("revoking", "export", ["predict"], OPERATOR)
    header = f"Bearer {key.text}"
    assert auth.authenticator.authenticate(header) == other_worker.authenticator.authenticate(header)
    auth.api_keys.revoke(key.key.prefix, OPERATOR)
    assert auth.authenticator.cached(header) is None
    deadline = time.monotonic() + 2
    while other_worker.authenticator.cached(header) and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(NotSignedIn):
        other_worker.authenticator.authenticate(header)


def test_a_known_key_is_accepted_while_postgresql_is_away(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    new_account(auth, "offline")
    known = f"Bearer {auth.api_keys.add('offline', 'export', ['predict'], OPERATOR).text}"
    unknown = f"Bearer {auth.api_keys.add('offline', 'export', ['predict'], OPERATOR).text}"
    assert auth.authenticator.authenticate(known)

    def away(text: str) -> None:
        raise RetryableError("PostgreSQL is away")

    monkeypatch.setattr(auth.api_keys, "verify", away)
    monkeypatch.setattr(credential_cache, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 120))
    assert auth.authenticator.cached(known) is None
    assert auth.authenticator.authenticate(known).username == "offline"
    with pytest.raises(RetryableError):
        auth.authenticator.authenticate(unknown)


def test_the_last_use_is_recorded_in_batches(auth: Auth, other_worker: Auth) -> None:
    new_account(auth, "used")
    key = auth.api_keys.add("used", "export", ["predict"], OPERATOR)
    assert key.key.last_used_at is None
    assert other_worker.authenticator.authenticate(f"Bearer {key.text}")
    other_worker.watch.stop()
    assert auth.api_keys.listed("used")[0].last_used_at is not None


@pytest.mark.parametrize(
    ("name", "scopes", "field"), [("", ["predict"], "name"), ("x", ["everything"], "scopes"), ("x", [], "scopes")]
)
def test_an_invalid_key_is_not_created(auth: Auth, name: str, scopes: list[str], field: str) -> None:
    with pytest.raises(InvalidAccount) as invalid:
        auth.api_keys.add("app", name, scopes, OPERATOR)
    assert invalid.value.field == field


def test_an_api_key_ends_no_logins(api: Api, auth: Auth) -> None:
    key = auth.api_keys.add("admin", "export", ["administer"], OPERATOR).text
    headers = {"Authorization": f"Bearer {key}"}
    assert api.client.delete("/auth/sessions", headers=headers).status_code == 403
    assert api.client.post("/auth/logout", headers=headers).status_code == 403


def test_a_cached_credential_is_not_verified_again(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    header = f"Bearer {auth.grants.first(auth.accounts.account('app')).access.text}"
    authenticate = auth.authenticator.authenticate
    first = authenticate(header)

    def verify(text: str) -> None:
        raise AssertionError("A signature takes a hundred times as long as a look-up.")

    monkeypatch.setattr(auth.authenticator._tokens, "verify", verify)
    assert authenticate(header) is first


@pytest.mark.parametrize("name", ["\x1b]0;owned\x07", "two\nlines", "tab\tcell", "\u202eesrever", "\x9b2J"])
def test_a_name_that_would_control_a_terminal_is_refused(api: Api, auth: Auth, name: str) -> None:
    username = f"naming-{name.encode().hex()}"
    new_account(auth, username)
    with pytest.raises(InvalidAccount, match="control characters"):
        auth.api_keys.add(username, name, ["predict"], OPERATOR)
    body = {"name": name, "scopes": ["predict"]}
    answer = api.client.post(f"/admin/accounts/{username}/api-keys", json=body, headers=api.headers("admin"))
    assert answer.status_code == 422
    plan = {"requests_per_second": 1, "burst": 1, "description": name}
    assert api.client.put("/admin/rate-plans/named", json=plan, headers=api.headers("admin")).status_code == 422
    reason = {"reason": name}
    stop = api.client.post("/admin/experiments/none/stop", json=reason, headers=api.headers("admin"))
    assert stop.status_code == 422
