"""Whose rate limit a request counts against: that of the account whose credential is valid now, else the address's."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import httpx
import pytest
import redis

from serving.auth import credential_cache
from serving.auth.access_tokens import LIFE_S
from serving.auth.auth_services import Auth
from serving.auth.roles import Role
from serving.limits.rate_plan import RatePlan
from tests.polling import until
from tests.serving.auth.conftest import OPERATOR, PASSWORD, log_in, new_account
from tests.serving.live_server import Api


def plan_of(answer: httpx.Response) -> str:
    return answer.headers["ratelimit-policy"].split('"')[1]


def ask(api: Api, text: str, scheme: str = "Bearer") -> httpx.Response:
    return api.client.get("/auth/me", headers={"Authorization": f"{scheme} {text}"})


def end_by_logout(api: Api, auth: Auth, text: str) -> None:
    assert api.client.post("/auth/logout", headers={"Authorization": f"Bearer {text}"}).status_code == 204


def end_by_disabling(api: Api, auth: Auth, text: str) -> None:
    auth.account_changes.disable(ask(api, text).json()["username"], OPERATOR)


def test_the_account_pays_for_the_first_request_of_a_credential(api: Api, auth: Auth) -> None:
    new_account(auth, "payer")
    token = log_in(api, "payer")["access_token"]
    answers = [ask(api, token), ask(api, token, "bearer"), ask(api, token)]
    assert [(each.status_code, plan_of(each)) for each in answers] == [(200, "standard")] * 3
    left = [int(each.headers["ratelimit"].partition("r=")[2].partition(";")[0]) for each in answers]
    assert left[0] > left[2] - 5, "of one bucket, which has been refilled a little meanwhile"


def test_an_account_that_has_spent_its_plan_is_refused_whatever_credential_it_uses(
    api: Api, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = new_account(auth, "spender")
    tokens = [auth.grants.first(account).access.text for _ in range(3)]
    plans = api.services.rate_limits.plans
    monkeypatch.setattr(plans, "refresh", lambda: None)
    monkeypatch.setattr(plans, "_by_name", {**plans._by_name, "standard": RatePlan("standard", 0.01, 2)})
    assert [ask(api, each).status_code for each in tokens[:2]] == [200, 200]
    answer = ask(api, tokens[2])
    assert (answer.status_code, answer.json()["violated-policies"]) == (429, ["standard"])
    assert plan_of(answer) == "standard"
    assert int(answer.headers["retry-after"]) >= 1


def test_the_account_pays_for_the_exchange_of_a_refresh_token_or_keeps_the_token(
    api: Api, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = new_account(auth, "refresher")
    token = auth.grants.first(account).refresh.text
    answer = api.client.post("/auth/refresh", json={"refresh_token": token})
    assert (answer.status_code, plan_of(answer)) == (200, "standard")
    tokens = [answer.json()["refresh_token"]]
    plans = api.services.rate_limits.plans

    def exchange() -> httpx.Response:
        answer = api.client.post("/auth/refresh", json={"refresh_token": tokens[-1]})
        if answer.status_code == 200:
            tokens.append(answer.json()["refresh_token"])
        return answer

    def refused_exchange() -> httpx.Response | None:
        answer = exchange()
        return answer if answer.status_code != 200 else None

    with monkeypatch.context() as patch:
        patch.setattr(plans, "refresh", lambda: None)
        patch.setattr(plans, "_by_name", {**plans._by_name, "standard": RatePlan("standard", 0.01, 1)})
        access = auth.grants.first(account).access.text
        # On a busy machine, Redis can be late, and the worker's own bucket then allows another request.
        until(lambda: ask(api, access).status_code == 429, "the account has used up its plan")
        answer = until(refused_exchange, "the exchange is refused, too")
        assert (answer.status_code, answer.json()["violated-policies"]) == (429, ["standard"])
    redis.Redis.from_url(api.settings.require("redis_url")).delete("okr:rate:user:refresher")
    until(lambda: exchange().status_code == 200, "the token is valid")


@pytest.mark.parametrize("end", [end_by_logout, end_by_disabling])
def test_a_revoked_token_costs_its_account_nothing(api: Api, auth: Auth, end: Callable[[Api, Auth, str], None]) -> None:
    name = end.__name__
    new_account(auth, name)
    token = log_in(api, name)["access_token"]
    assert plan_of(ask(api, token)) == "standard"
    end(api, auth, token)
    answers = [ask(api, token) for _ in range(2)]
    assert [(each.status_code, plan_of(each)) for each in answers] == [(401, "anonymous")] * 2


def test_an_expired_token_costs_its_account_nothing(api: Api, auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    account = new_account(auth, "expired")
    identity = auth.authenticator.authenticate(f"Bearer {auth.grants.first(account).access.text}")
    expired = auth.authenticator._tokens.issue(account, "family", time.time() - LIFE_S - 1).text
    cache = auth.authenticator._cache
    cache.put(expired, identity, expires_in_s=30.0, generation=cache.generation)  # as if it had been verified before
    assert plan_of(ask(api, expired)) == "standard"
    monkeypatch.setattr(credential_cache, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 30))
    assert plan_of(ask(api, expired)) == "anonymous"


def test_an_ended_session_costs_its_account_nothing_and_shows_no_checks(api: Api, auth: Auth) -> None:
    new_account(auth, "visitor", Role.ADMIN)
    api.client.post("/login", data={"username": "visitor", "password": PASSWORD})
    assert "checks" in api.client.get("/health").json()
    assert plan_of(api.client.get("/auth/me")) == "standard"
    stolen = {"Cookie": f"theme=dark; {auth.cookies.session}={api.client.cookies[auth.cookies.session]}"}
    assert plan_of(api.client.get("/auth/me", headers=stolen)) == "standard"
    api.client.post("/logout")
    assert api.client.get("/health", headers=stolen).json().keys() == {"status"}
    assert plan_of(api.client.get("/auth/me", headers=stolen)) == "anonymous"
