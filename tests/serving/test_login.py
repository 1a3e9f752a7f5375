"""Who may do what: passwords, tokens, roles."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import redis
from pydantic import SecretStr

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from serving.auth.failed_login_limit import FAILURES_PER_ADDRESS, FAILURES_PER_USERNAME, FailedLoginLimit
from serving.auth.roles import Identity, Role, rights_of
from serving.auth.tokens import ISSUER, Audience, Tokens
from serving.errors import TooManyAttempts
from tests.serving.live_server import Api, serving

ADMIN = Identity(
    username="admin", role=Role.ADMIN, organisation_id=None, user_id=None, team_ids=(),
    rights=rights_of(Role.ADMIN, None), plan="standard", credential="",
)  # fmt: skip


def status_of(api: Api, token: str, path: str = "/v1/publication") -> int:
    answer = api.client.get(path, headers={"Authorization": f"Bearer {token}"})
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code


@pytest.mark.parametrize(
    ("path", "app", "lead", "admin"),
    [
        ("/v1/publication", 200, 200, 200),
        ("/v1/okr-progress", 200, 200, 200),
        ("/models", 200, 200, 200),
        ("/admin/state", 403, 403, 200),
        ("/openapi.json", 200, 200, 200),
    ],
)
def test_each_role_may_do_what_it_is_for(api: Api, path: str, app: int, lead: int, admin: int) -> None:
    seen = {role: status_of(api, api.token(role), path) for role in ("app", "lead", "admin")}
    assert seen == {"app": app, "lead": lead, "admin": admin}


def test_a_token_is_given_for_a_form_and_for_json(api: Api) -> None:
    credentials = {"username": "app", "password": api.settings.require("app_password")}
    for answer in (api.client.post("/auth/token", data=credentials), api.client.post("/auth/token", json=credentials)):
        assert answer.status_code == 200
        assert answer.json()["token_type"] == "bearer"
        assert answer.json()["expires_in"] == 900


@pytest.mark.parametrize("username", ["app", "nobody", "app' OR '1'='1", "n\u00e4m\u00e9"])
def test_a_wrong_password_says_the_same_whoever_asks(api: Api, username: str) -> None:
    answer = api.client.post("/auth/token", json={"username": username, "password": "wrong"})
    assert answer.status_code == 401
    assert answer.json()["detail"] == "Wrong user name or password."
    assert set(answer.json()) == {"type", "title", "status", "detail", "request_id"}, (
        "it has no members of other errors"
    )


def test_an_expired_token_is_told_to_be_expired(api: Api) -> None:
    tokens = Tokens(api.settings.require("jwt_secret"))
    old = tokens.issue(ADMIN, Audience.API, datetime.now(UTC) - timedelta(hours=1)).text
    answer = api.client.get("/v1/publication", headers={"Authorization": f"Bearer {old}"})
    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


def forged(api: Api, algorithm: str) -> str:
    """A token that claims to be the admin's, signed as said."""
    now = datetime.now(UTC)
    claims = {
        "sub": "admin", "role": "admin", "org": None, "user": None, "teams": [], "plan": "standard",
        "aud": "okr-api", "iss": ISSUER, "jti": "1", "iat": now,
        "exp": now + timedelta(minutes=5),
    }  # fmt: skip
    secret = "" if algorithm == "none" else api.settings.require("jwt_secret")
    return jwt.encode(claims, secret, algorithm=algorithm)


def test_a_token_without_a_signature_is_refused(api: Api) -> None:
    assert status_of(api, forged(api, "none")) == 401


def test_a_token_signed_by_another_algorithm_is_refused_even_with_our_secret(api: Api) -> None:
    assert status_of(api, forged(api, "HS512")) == 401
    assert status_of(api, forged(api, "HS256")) == 200


def test_a_token_whose_role_was_changed_is_refused(api: Api) -> None:
    header, body, signature = api.token("app").split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "role": "admin"}).encode()).decode().rstrip("=")
    assert status_of(api, f"{header}.{changed}.{signature}", "/admin/state") == 401


def test_a_session_is_no_api_token_and_a_token_is_no_session(api: Api) -> None:
    tokens = Tokens(api.settings.require("jwt_secret"))
    assert status_of(api, tokens.issue(ADMIN, Audience.PAGE).text) == 401
    api.client.cookies.set("okr_session", tokens.issue(ADMIN, Audience.API).text)
    assert api.client.get("/").status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer x", "Basic YWRtaW46YWRtaW4=", "Bearer a.b.c", "Bearer " + "x" * 9000]
)
def test_what_is_no_token_is_refused(api: Api, header: str) -> None:
    assert api.client.get("/v1/publication", headers={"Authorization": header}).status_code == 401


def test_a_short_secret_is_no_secret() -> None:
    with pytest.raises(PermanentError, match="OKR_JWT_SECRET"):
        Tokens("short")


def test_a_changed_password_counts_from_the_next_start_and_the_old_one_no_more(api: Api) -> None:
    changed = api.settings.model_copy(update={"lead_password": SecretStr("a new password")})
    with serving(changed) as restarted:
        assert restarted.token("lead")
        old = {"username": "lead", "password": api.settings.require("lead_password")}
        assert restarted.client.post("/auth/token", data=old).status_code == 401
    with serving(api.settings) as back:
        assert back.token("lead")


def test_too_many_failures_of_a_name_are_told_to_wait(api: Api) -> None:
    wrong = {"username": "guessed", "password": "wrong"}
    for _ in range(FAILURES_PER_USERNAME):
        assert api.client.post("/auth/token", json=wrong).status_code == 401
    answer = api.client.post("/auth/token", json=wrong)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert api.token("app"), "another name is not held up"


def test_too_many_failures_from_an_address_hold_it_up_whatever_names_it_tries(redis_server: Settings) -> None:
    with redis.Redis.from_url(redis_server.require("redis_url")) as client:
        limit = FailedLoginLimit(client)
        for number in range(FAILURES_PER_ADDRESS):
            limit.check(f"name {number}", "203.0.113.9")
            limit.record(f"name {number}", "203.0.113.9")
        with pytest.raises(TooManyAttempts) as refused:
            limit.check("a name never tried", "203.0.113.9")
        assert refused.value.retry_after_s > 0
        limit.check("a name never tried", "203.0.113.10")


@pytest.mark.parametrize("body", ["[]", '"admin"', "null", "3"])
def test_a_body_that_is_no_object_is_rejected_without_naming_a_python_class(api: Api, body: str) -> None:
    answer = api.client.post("/auth/token", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["detail"] == "Input should be an object"
    assert "Credentials" not in answer.text
