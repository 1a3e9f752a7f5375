"""Logins of apps: refresh tokens, changed passwords, limits on failures, and 200 concurrent logins."""

import asyncio
import time
from collections import Counter
from types import SimpleNamespace

import httpx
import psycopg
import pytest
import redis
from pydantic import SecretStr

from serving.auth import known_clients, login_limit
from serving.auth.assignment import Assignment
from serving.auth.auth_services import Auth
from serving.auth.failure_counts import FailureCounts
from serving.auth.known_clients import Client
from serving.auth.roles import Role
from serving.errors import NotSignedIn, TooManyAttempts
from tests.serving.auth.conftest import OPERATOR, PASSWORD, log_in, new_account, status
from tests.serving.live_server import Api

WRONG = "wrong"


def refreshed(api: Api, token: str) -> httpx.Response:
    return api.client.post("/auth/refresh", json={"refresh_token": token})


def test_a_login_by_form_or_json_returns_both_tokens(api: Api) -> None:
    credentials = {"username": "app", "password": api.settings.require("app_password")}
    for answer in (api.client.post("/auth/token", data=credentials), api.client.post("/auth/token", json=credentials)):
        assert answer.status_code == 200
        grant = answer.json()
        assert (grant["token_type"], grant["expires_in"]) == ("bearer", 900)
        assert grant["refresh_expires_in"] > 6 * 24 * 3600


@pytest.mark.parametrize("username", ["app", "nobody", "app' OR '1'='1", "n\u00e4m\u00e9"])
def test_a_wrong_password_says_the_same_whoever_asks(api: Api, username: str) -> None:
    answer = api.client.post("/auth/token", json={"username": username, "password": "wrong"})
    assert answer.status_code == 401
    assert answer.json()["detail"] == "Wrong user name or password."
    assert set(answer.json()) == {"type", "title", "status", "detail", "request_id"}, "no members of other errors"


@pytest.mark.parametrize("body", ["[]", '"admin"', "null", "3"])
def test_a_body_that_is_no_object_is_rejected_without_naming_a_python_class(api: Api, body: str) -> None:
    answer = api.client.post("/auth/token", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["detail"] == "Input should be an object"
    assert "Credentials" not in answer.text


def test_a_refresh_token_is_exchanged_for_the_next_grant_with_the_present_role(api: Api, auth: Auth) -> None:
    new_account(auth, "refreshing")
    grant = log_in(api, "refreshing")
    answer = refreshed(api, grant["refresh_token"])
    assert answer.status_code == 200
    assert answer.json()["refresh_token"] != grant["refresh_token"]
    assert status(api, answer.json()["access_token"]) == 200
    assert status(api, answer.json()["refresh_token"]) == 401, "a refresh token is no access token"


def test_a_replayed_refresh_token_ends_the_login_of_thief_and_owner(api: Api, auth: Auth) -> None:
    new_account(auth, "robbed")
    first, other_login = log_in(api, "robbed"), log_in(api, "robbed")
    second = refreshed(api, first["refresh_token"]).json()
    assert refreshed(api, first["refresh_token"]).status_code == 401
    assert refreshed(api, second["refresh_token"]).status_code == 401
    assert [status(api, grant["access_token"]) for grant in (first, second)] == [401, 401]
    assert status(api, other_login["access_token"]) == 200, "the other login is not concerned"
    assert refreshed(api, other_login["refresh_token"]).status_code == 200


def test_of_twenty_simultaneous_uses_of_a_refresh_token_at_most_one_succeeds(api: Api, auth: Auth) -> None:
    new_account(auth, "racing")
    token = log_in(api, "racing")["refresh_token"]

    async def race() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=api.client.base_url, timeout=60) as client:
            return await asyncio.gather(
                *(client.post("/auth/refresh", json={"refresh_token": token}) for _ in range(20))
            )

    answers = asyncio.run(race())
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert refreshed(api, won[0].json()["refresh_token"]).status_code == 401, "the reuse revoked it as well"


def test_an_expired_refresh_token_is_rejected(api: Api, auth: Auth) -> None:
    new_account(auth, "late")
    token = log_in(api, "late")["refresh_token"]
    with psycopg.connect(api.settings.require("dsn_owner")) as connection:
        connection.execute("UPDATE auth.refresh_token SET expires_at = now() WHERE username = 'late'")
    assert refreshed(api, token).status_code == 401


def test_a_logout_ends_the_login_of_the_token_on_this_worker_at_once_and_on_others_within_two_seconds(
    api: Api, auth: Auth, other_worker: Auth
) -> None:
    new_account(auth, "leaving")
    grant = log_in(api, "leaving")
    header = {"Authorization": f"Bearer {grant['access_token']}"}
    assert other_worker.authenticator.authenticate(header["Authorization"]).username == "leaving"
    assert api.client.post("/auth/logout", headers=header).status_code == 204
    revoked_at = time.monotonic()
    assert status(api, grant["access_token"]) == 401
    assert refreshed(api, grant["refresh_token"]).status_code == 401
    while is_accepted(other_worker, header["Authorization"]) and time.monotonic() - revoked_at < 2:
        time.sleep(0.02)
    assert not is_accepted(other_worker, header["Authorization"])


def is_accepted(auth: Auth, authorization: str) -> bool:
    try:
        return bool(auth.authenticator.authenticate(authorization))
    except NotSignedIn:
        return False


def test_a_changed_password_ends_sessions_and_tokens_but_no_api_keys(api: Api, auth: Auth) -> None:
    new_account(auth, "changing", Role.SERVICE)
    grant, session = log_in(api, "changing"), auth.sessions.start(auth.accounts.account("changing"), "browser")
    key = auth.api_keys.add("changing", "nightly export", ["read-data"], OPERATOR).text
    assert auth.authenticator.authenticate(None, session).username == "changing"
    auth.account_changes.change_password("changing", "another long password", OPERATOR)
    assert status(api, grant["access_token"]) == 401
    assert refreshed(api, grant["refresh_token"]).status_code == 401
    with pytest.raises(NotSignedIn):
        auth.authenticator.authenticate(None, session)
    assert status(api, key) == 200
    old = {"username": "changing", "password": PASSWORD}
    assert api.client.post("/auth/token", json=old).status_code == 401
    assert log_in(api, "changing", "another long password")


def test_a_disabled_account_has_no_valid_credential(api: Api, auth: Auth) -> None:
    new_account(auth, "dismissed", Role.SERVICE)
    grant = log_in(api, "dismissed")
    key = auth.api_keys.add("dismissed", "export", ["predict"], OPERATOR).text
    assert [status(api, text) for text in (grant["access_token"], key)] == [200, 200]
    auth.account_changes.disable("dismissed", OPERATOR)
    assert [status(api, text) for text in (grant["access_token"], key)] == [401, 401]
    assert refreshed(api, grant["refresh_token"]).status_code == 401
    answer = api.client.post("/auth/token", json={"username": "dismissed", "password": PASSWORD})
    assert (answer.status_code, "disabled" in answer.json()["detail"]) == (401, True)


def test_two_hundred_logins_at_once_all_succeed_and_delay_no_other_request(api: Api, auth: Auth) -> None:
    new_account(auth, "popular")
    token = log_in(api, "popular")["access_token"]
    assert status(api, token) == 200

    async def storm() -> tuple[list[int], float]:
        limits = httpx.Limits(max_connections=250)
        async with httpx.AsyncClient(base_url=api.client.base_url, timeout=120, limits=limits) as client:
            body = {"username": "popular", "password": PASSWORD}
            logins = [asyncio.create_task(client.post("/auth/token", json=body)) for _ in range(200)]
            await asyncio.sleep(0.5)
            started = time.monotonic()
            other = await client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
            other_s = time.monotonic() - started
            return [other.status_code, *[answer.status_code for answer in await asyncio.gather(*logins)]], other_s

    statuses, other_s = asyncio.run(storm())
    assert statuses[0] == 200
    assert Counter(statuses).keys() <= {200, 429, 503}
    assert Counter(statuses)[200] >= 150
    assert other_s < 2


def attempt(auth: Auth, username: str, client: Client, password: str = WRONG) -> str:
    try:
        return auth.login.verify(username, password, client).username
    except (NotSignedIn, TooManyAttempts) as error:
        return type(error).__name__


def test_a_stranger_locks_out_only_strangers(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_limit, "MOST_PER_NAME", 12)
    account = new_account(auth, "target")
    home, phone = Client("192.0.2.1"), Client("192.0.2.77", auth.known_clients.device_cookie(account))
    assert attempt(auth, "target", home, PASSWORD) == "target"
    for number in range(15):
        attempt(auth, "target", Client(f"203.0.113.{number}"))
    stranger = Client("203.0.113.200")
    assert attempt(auth, "target", stranger, PASSWORD) == "TooManyAttempts"
    assert attempt(auth, "target", home, PASSWORD) == "target", "an address from which the account has logged in"
    assert attempt(auth, "target", phone, PASSWORD) == "target", "a device on which the account has logged in"
    others = auth.known_clients.device_cookie(new_account(auth, "somebody-else"))
    for forged in (others, "", ".", "a.b.c", phone.device and phone.device.replace(".", ".9", 1)):
        assert attempt(auth, "target", Client("203.0.113.201", forged), PASSWORD) == "TooManyAttempts"


def test_a_known_device_or_address_gives_no_unlimited_guesses(auth: Auth) -> None:
    account = new_account(auth, "shared")
    device = Client("192.0.2.10", auth.known_clients.device_cookie(account))
    home = Client("192.0.2.11")
    assert attempt(auth, "shared", home, PASSWORD) == "shared"
    for client in (device, home):
        outcomes = [attempt(auth, "shared", client) for _ in range(11)]
        assert outcomes == ["NotSignedIn"] * 10 + ["TooManyAttempts"]


def test_a_changed_password_ends_the_trust_in_devices(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever knew the password before may have many devices, which no limit per name or address would stop."""
    monkeypatch.setattr(login_limit, "MOST_PER_NAME", 12)
    account = new_account(auth, "left")
    cookies = [auth.known_clients.device_cookie(account) for _ in range(4)]
    auth.account_changes.change_password("left", "another long password", OPERATOR)
    clients = [Client(f"203.0.113.{n}", cookie) for n, cookie in enumerate(cookies) for _ in range(5)]
    assert [attempt(auth, "left", each) for each in clients].count("NotSignedIn") == 12


def test_many_devices_give_no_more_guesses_than_strangers_have(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_limit, "MOST_PER_NAME", 12)
    account = new_account(auth, "collector")
    cookies = [auth.known_clients.device_cookie(account) for _ in range(4)]
    clients = [Client("192.0.2.80", cookie) for cookie in cookies for _ in range(5)]
    assert [attempt(auth, "collector", each) for each in clients].count("NotSignedIn") == 12


def test_a_device_is_known_for_ninety_days(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    account = new_account(auth, "returning")
    client = Client("192.0.2.81", auth.known_clients.device_cookie(account))
    for days, is_known in ((89, True), (91, False)):
        later = time.time() + days * 24 * 3600
        monkeypatch.setattr(known_clients, "time", SimpleNamespace(time=lambda later=later: later))
        assert (auth.known_clients.device_of(account, client) is not None) == is_known


def test_an_address_that_tries_many_names_is_held_up(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_limit, "MOST_PER_ADDRESS", 5)
    outcomes = [attempt(auth, f"name-{number}", Client("2001:db8::1")) for number in range(5)]
    assert outcomes == ["NotSignedIn"] * 5
    assert attempt(auth, "app", Client("2001:db8::ffff")) == "TooManyAttempts", "the same subscriber"
    assert attempt(auth, "app", Client("2001:db8:0:1::1")) == "NotSignedIn"


def test_the_answer_to_too_many_failures_says_when_to_try_again(api: Api) -> None:
    for _ in range(login_limit.MOST_PER_NAME_AND_ADDRESS):
        answer = api.client.post("/auth/token", json={"username": "guessed", "password": "wrong"})
        assert answer.status_code == 401
    answer = api.client.post("/auth/token", json={"username": "guessed", "password": "wrong"})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 900
    assert api.token("app"), "another name is not held up"


def test_failures_are_still_limited_while_redis_is_away() -> None:
    with redis.Redis.from_url("redis://127.0.0.1:9/0") as away:
        counts = FailureCounts(away)
        assert [counts.add(["a"])["a"] for _ in range(3)] == [1, 2, 3]
        failures, left_s = counts.read(["a"])["a"]
        assert failures == 3
        assert 0 < left_s <= 901


def test_a_changed_password_in_the_settings_counts_from_the_next_start_and_only_then(api: Api, auth: Auth) -> None:
    changed = api.settings.model_copy(update={"lead_password": SecretStr("the next password")})
    auth.accounts.seed(changed)
    assert log_in(api, "lead", "the next password")
    auth.account_changes.change_password("lead", "set by an administrator", OPERATOR)
    auth.accounts.seed(changed)
    assert log_in(api, "lead", "set by an administrator"), "a start does not undo a change of the password"
    auth.accounts.seed(api.settings)
    assert api.token("lead")


def test_the_roles_have_the_rights_of_the_table(api: Api, auth: Auth) -> None:
    organisation = Assignment(organisation_id="acme")
    paths = ("/v1/publication", "/v1/system-health", "/admin/state", "/openapi.json")
    seen = {}
    for role in Role:
        for assignment in (Assignment(), organisation):
            name = f"{role.value}-{assignment.organisation_id or 'all'}"
            token = auth.grants.first(new_account(auth, name, role, assignment)).access.text
            seen[name] = [status(api, token, path) for path in paths]
    reads, nothing_yet = [503, 403, 403, 200], 503
    assert seen == {
        **{f"{role}-{of}": reads for role in ("viewer", "member", "lead") for of in ("all", "acme")},
        "service-all": [nothing_yet, nothing_yet, 403, 200],
        "service-acme": reads,
        "admin-all": [nothing_yet, nothing_yet, 200, 200],
        "admin-acme": reads,
    }
