"""Sessions of browsers: stolen cookies, logout, Redis away, two installations, cookies behind TLS."""

import time
from types import SimpleNamespace

import httpx
import pytest
import redis
from pydantic import SecretStr

from serving.auth import sessions
from serving.auth.auth_services import Auth, build_auth
from serving.auth.roles import Role
from serving.errors import NotSignedIn
from tests.serving.auth.conftest import PASSWORD, log_in, new_account
from tests.serving.live_server import Api


def log_in_by_form(api: Api, username: str) -> str:
    """Log in on the page, and return the session cookie."""
    answer = api.client.post("/login", data={"username": username, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    cookie = api.client.cookies.get(api.services.auth.cookies.session)
    assert cookie is not None
    return cookie


def test_a_cookie_is_hidden_from_scripts_and_other_sites(api: Api, auth: Auth) -> None:
    new_account(auth, "cookies")
    answer = api.client.post("/login", data={"username": "cookies", "password": PASSWORD})
    for cookie in answer.headers.get_list("set-cookie"):
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Secure" not in cookie, "the test has no TLS"


def test_redis_has_no_cookie_that_could_be_stolen_from_it(api: Api, auth: Auth, redis_admin: redis.Redis) -> None:
    new_account(auth, "hashed")
    cookie = log_in_by_form(api, "hashed")
    stored = b"".join(key + (redis_admin.get(key) or b"") for key in redis_admin.keys("okr:session:*"))
    assert cookie.encode() not in stored


def test_a_stolen_cookie_is_worthless_after_the_logout_on_every_worker(
    api: Api, auth: Auth, other_worker: Auth
) -> None:
    new_account(auth, "stolen")
    cookie = log_in_by_form(api, "stolen")
    assert other_worker.authenticator.authenticate(None, cookie).username == "stolen"
    assert api.client.post("/logout").status_code == 303
    for worker in (auth, other_worker):
        with pytest.raises(NotSignedIn):
            worker.authenticator.authenticate(None, cookie)
    thief = {"Cookie": f"{auth.cookies.session}={cookie}"}
    assert api.client.get("/auth/me", headers=thief).status_code == 401


def test_the_logins_of_an_account_are_listed_and_ended(api: Api, auth: Auth) -> None:
    new_account(auth, "listing")
    other = auth.sessions.start(auth.accounts.account("listing"), "an old phone")
    app = log_in(api, "listing")
    log_in_by_form(api, "listing")
    listed = api.client.get("/auth/sessions").json()["sessions"]
    assert [(each["kind"], each["is_current"]) for each in listed] == [
        ("browser", True), ("app", False), ("browser", False)
    ]  # fmt: skip
    for each in listed[1:]:
        assert api.client.delete(f"/auth/sessions/{each['session_id']}").status_code == 204
    with pytest.raises(NotSignedIn):
        auth.authenticator.authenticate(None, other)
    assert api.client.post("/auth/refresh", json={"refresh_token": app["refresh_token"]}).status_code == 401
    assert api.client.delete("/auth/sessions").status_code == 204
    assert api.client.get("/auth/me").status_code == 401


def test_nobody_ends_the_session_of_another_account(api: Api, auth: Auth) -> None:
    for name in ("victim", "attacker"):
        new_account(auth, name)
    session = auth.sessions.start(auth.accounts.account("victim"), "")
    grant = log_in(api, "victim")
    ids = [auth.sessions.listed("victim")[0].session_id, auth.refresh_tokens.listed("victim")[0].family]
    headers = {"Authorization": f"Bearer {log_in(api, 'attacker')['access_token']}"}
    assert [api.client.delete(f"/auth/sessions/{one}", headers=headers).status_code for one in ids] == [404, 404]
    assert auth.authenticator.authenticate(None, session).username == "victim"
    assert api.client.post("/auth/refresh", json={"refresh_token": grant["refresh_token"]}).status_code == 200


@pytest.mark.parametrize("wrong", ["-" * 36, "0" * 36, "f" * 63, "0-" * 18, f"{'0' * 8}-{'0' * 27}"])
def test_an_id_of_no_session_is_invalid(api: Api, auth: Auth, wrong: str) -> None:
    headers = {"Authorization": f"Bearer {api.token('lead')}"}
    assert api.client.delete(f"/auth/sessions/{wrong}", headers=headers).status_code == 422


def test_another_site_cannot_use_the_session_for_a_change(api: Api, auth: Auth) -> None:
    new_account(auth, "visited")
    log_in_by_form(api, "visited")
    answer = api.client.post("/auth/logout", headers={"Origin": "http://evil.example"})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:okr:problem:cross-site")
    assert api.client.get("/auth/me").status_code == 200


def test_a_session_is_no_token_for_routes_of_programs(api: Api, auth: Auth) -> None:
    new_account(auth, "page-only", Role.ADMIN)
    log_in_by_form(api, "page-only")
    assert api.client.get("/admin/state").status_code == 401


def test_an_account_has_at_most_fifty_sessions(auth: Auth) -> None:
    account = new_account(auth, "forgetful")
    cookies = [auth.sessions.start(account, "") for _ in range(52)]
    assert len(auth.sessions.listed("forgetful")) == 50
    assert auth.authenticator.authenticate(None, cookies[-1]).username == "forgetful"
    with pytest.raises(NotSignedIn):
        auth.authenticator.authenticate(None, cookies[0])


def test_a_session_survives_no_jump_of_the_clock_beyond_its_life(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = auth.sessions.start(new_account(auth, "travelling"), "")
    assert auth.authenticator.authenticate(None, cookie)
    monkeypatch.setattr(sessions, "time", SimpleNamespace(time=lambda: time.time() + 9 * 3600))
    with pytest.raises(NotSignedIn):
        auth.authenticator.authenticate(None, cookie)


def test_without_redis_pages_say_so_and_tokens_stay_valid(
    api: Api, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_account(auth, "waiting")
    token = log_in(api, "waiting")["access_token"]
    log_in_by_form(api, "waiting")
    with redis.Redis.from_url("redis://127.0.0.1:9/0") as away:
        monkeypatch.setattr(auth.sessions, "_redis", away)
        page = api.client.get("/", headers={"Accept": "text/html"})
        assert page.status_code == 503
        assert "Redis does not respond" in page.text
        assert api.client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert log_in(api, "waiting")


def test_two_installations_on_one_host_have_different_cookies(api: Api, auth: Auth) -> None:
    changed = {"jwt_secret": SecretStr("s" * 64), "api_url": "https://okr.example"}
    with redis.Redis() as client:
        second = build_auth(api.settings.model_copy(update=changed), api.services.warehouses, client)
    assert second.cookies.session.startswith("__Host-okr_session_")
    assert second.cookies.session.removeprefix("__Host-") != auth.cookies.session
    assert second.cookies.device != auth.cookies.device


def test_behind_a_trusted_proxy_with_tls_cookies_are_secure_and_the_client_address_is_limited(
    api: Api, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_account(auth, "proxied")
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
    form = {"username": "proxied", "password": PASSWORD}

    def cookies(answer: httpx.Response) -> set[bool]:
        return {"Secure" in cookie for cookie in answer.headers.get_list("set-cookie")}

    assert cookies(api.client.post("/login", data=form, headers=forwarded)) == {False}, "the peer is not trusted"
    api.client.cookies.clear()
    monkeypatch.setattr(auth.trusted_proxies, "_networks", type(auth.trusted_proxies)("127.0.0.1")._networks)
    auth.trusted_proxies.trusts.cache_clear()
    try:
        assert cookies(api.client.post("/login", data=form, headers=forwarded)) == {True}
        assert auth.known_clients.is_known_address("proxied", "198.51.100.7")
    finally:
        auth.trusted_proxies.trusts.cache_clear()
