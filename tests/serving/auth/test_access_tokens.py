"""Attacks on access tokens, and what the clock and a rotation of the keys do to them."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lakehouse.errors import RetryableError
from serving.auth.access_tokens import AUDIENCE, CLOCK_DIFFERENCE_S, ISSUER, LIFE_S, TOKEN_TYPE, AccessTokens
from serving.auth.auth_services import Auth
from serving.auth.revocations import Revocations
from serving.auth.signing_keys import SigningKeys
from serving.errors import NotSignedIn
from serving.publication_reader import Warehouse
from tests.serving.auth.conftest import OPERATOR, status
from tests.serving.live_server import Api


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of a valid token of the administrator."""
    now = int(time.time())
    valid = {
        "sub": "admin", "role": "admin", "org": None, "user": None, "teams": [], "plan": "standard", "ver": 10_000,
        "fam": "f", "jti": "j", "aud": AUDIENCE, "iss": ISSUER, "iat": now, "exp": now + LIFE_S,
    }  # fmt: skip
    return {name: value for name, value in {**valid, **changes}.items() if value != "left out"}


def signed(auth: Auth, key: Any = None, algorithm: str = "EdDSA", typ: str = TOKEN_TYPE, **changes: Any) -> str:
    """A token, by default signed as by this service."""
    ours = auth.signing_keys.signing()
    headers = {"kid": ours.kid, "typ": typ}
    return jwt.encode(claims(**changes), ours.private_key if key is None else key, algorithm, headers)


def test_a_token_signed_by_this_service_is_valid(api: Api, auth: Auth) -> None:
    assert status(api, signed(auth)) == 200


def test_a_token_without_a_signature_is_rejected(api: Api, auth: Auth) -> None:
    assert status(api, signed(auth, key="", algorithm="none")) == 401


def test_a_token_with_a_stripped_signature_is_rejected(api: Api, auth: Auth) -> None:
    assert status(api, signed(auth).rpartition(".")[0] + ".") == 401


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_a_token_signed_with_the_secret_is_rejected(api: Api, auth: Auth, algorithm: str) -> None:
    assert status(api, signed(auth, api.settings.require("jwt_secret"), algorithm)) == 401


def test_the_public_key_is_not_accepted_as_a_secret(api: Api, auth: Auth) -> None:
    """Key confusion: HMAC with the published key, in each form in which an attacker has it."""
    key = auth.signing_keys.signing()
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": key.kid, "typ": TOKEN_TYPE}).encode())
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode())
    signing = (header + b"." + body).replace(b"=", b"")
    for secret in (key.public_key.public_bytes_raw(), key.jwk()["x"].encode(), json.dumps(key.jwk()).encode()):
        signature = base64.urlsafe_b64encode(hmac.digest(secret, signing, hashlib.sha256)).decode().rstrip("=")
        assert status(api, f"{signing.decode()}.{signature}") == 401


def test_a_token_signed_with_another_key_under_our_key_id_is_rejected(api: Api, auth: Auth) -> None:
    assert status(api, signed(auth, Ed25519PrivateKey.generate())) == 401


def test_a_key_in_the_header_of_a_token_is_ignored(api: Api, auth: Auth) -> None:
    other = Ed25519PrivateKey.generate()
    x = base64.urlsafe_b64encode(other.public_key().public_bytes_raw()).decode().rstrip("=")
    headers = {"kid": "mine", "typ": TOKEN_TYPE, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x}}
    assert status(api, jwt.encode(claims(), other, "EdDSA", headers)) == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-api"}, {"aud": "left out"}, {"iss": "another"}, {"exp": 1}, {"exp": "left out"},
        {"exp": 2**40}, {"role": "root"}, {"role": "left out"}, {"iat": "in an hour"}, {"ver": "left out"},
        {"teams": None}, {"ver": 0}, {"org": "left out"},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_with_wrong_claims_is_rejected_although_it_is_signed(
    api: Api, auth: Auth, changes: dict[str, Any]
) -> None:
    if changes == {"ver": 0}:
        auth.account_changes.log_out_everywhere("admin", OPERATOR)
    if changes == {"iat": "in an hour"}:
        changes = {"iat": int(time.time()) + 3600}
    assert status(api, signed(auth, **changes)) == 401


def test_a_token_has_one_spelling(api: Api, auth: Auth) -> None:
    """In the signature, PyJWT ignores characters outside base64url, and the last 4 bits."""
    token = signed(auth)
    last = {"A": "B", "Q": "R", "g": "h", "w": "x"}[token[-1]]
    other = [f"{token}!", f"{token[:-5]} {token[-5:]}", f"{token}==", token[:-1] + last, f" {token}", f"{token}\t.x"]
    assert [status(api, each) for each in (token, *other)] == [200, *[401] * len(other)]


def test_a_token_of_another_type_is_rejected(api: Api, auth: Auth) -> None:
    assert status(api, signed(auth, typ="JWT")) == 401


def test_a_token_whose_claims_were_changed_is_rejected(api: Api, auth: Auth) -> None:
    header, body, signature = signed(auth, role="viewer").split(".")
    changed = {**json.loads(base64.urlsafe_b64decode(body + "==")), "role": "admin"}
    body = base64.urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip("=")
    assert status(api, f"{header}.{body}.{signature}") == 401


def test_the_published_keys_verify_a_token(api: Api, auth: Auth) -> None:
    answer = api.client.get("/.well-known/jwks.json")
    assert "d" not in answer.json()["keys"][0], "the private key is not published"
    key = jwt.PyJWKSet.from_dict(answer.json())[auth.signing_keys.signing().kid]
    assert jwt.decode(signed(auth), key, ["EdDSA"], audience=AUDIENCE)["sub"] == "admin"


def test_a_rotation_of_the_keys_logs_nobody_out(api: Api, auth: Auth) -> None:
    before, token = auth.signing_keys.signing(), api.token("app")
    new = auth.signing_keys.rotate()
    assert auth.signing_keys.signing().kid == before.kid, "the new key does not sign before every worker knows it"
    assert {before.kid, new.kid} <= {key["kid"] for key in auth.signing_keys.jwks()["keys"]}
    with psycopg.connect(api.settings.require("dsn_owner")) as connection:
        connection.execute("UPDATE auth.signing_key SET signs_from = now() WHERE kid = %s", [new.kid])
    auth.signing_keys.load()
    assert auth.signing_keys.signing().kid == new.kid
    assert status(api, token) == 200
    assert status(api, api.token("app")) == 200


@pytest.mark.parametrize(
    ("seconds", "message"), [(-LIFE_S, "expired"), (-LIFE_S + 30, ""), (CLOCK_DIFFERENCE_S - 10, ""), (3600, "invalid")]
)
def test_a_jump_of_the_clock_makes_no_token_live_longer(auth: Auth, seconds: int, message: str) -> None:
    """A token issued by a clock that was wrong by some seconds, seen after the clock was corrected."""
    account = auth.accounts.account("app")
    text = AccessTokens(auth.signing_keys, Revocations()).issue(account, "f", time.time() + seconds).text
    if not message:
        assert auth.authenticator.authenticate(f"Bearer {text}").username == "app"
        return
    with pytest.raises(NotSignedIn, match=message):
        auth.authenticator.authenticate(f"Bearer {text}")


def test_private_keys_are_encrypted_and_useless_with_another_secret(auth: Auth, api: Api) -> None:
    key = auth.signing_keys.signing()
    with psycopg.connect(api.settings.require("dsn_owner")) as connection:
        rows = connection.execute("SELECT encrypted_private_key FROM auth.signing_key").fetchall()
    assert not any(key.private_key.private_bytes_raw() in row[0] for row in rows)
    warehouse = Warehouse(api.settings.require("dsn_serving"))
    warehouse.open()
    try:
        others = SigningKeys(warehouse, bytes(32))
        others.load()
        assert others.verifying(key.kid) is None
    finally:
        warehouse.close()


def test_a_key_that_cannot_be_looked_up_now_is_not_called_invalid() -> None:
    """A worker that starts while PostgreSQL is away knows no keys; a client must not discard its token for that."""

    class Unavailable:
        def connection(self) -> Any:
            raise RetryableError("PostgreSQL is unavailable.")

    keys = SigningKeys(Unavailable(), bytes(32))  # type: ignore[arg-type]
    for _ in range(2):  # the second time, the keys are not read again so soon
        with pytest.raises(RetryableError):
            keys.verifying("some key")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer x",
        "Basic YWRtaW46YWRtaW4=",
        "Bearer a.b.c",
        "Bearer " + "x" * 9000,
        "Bearer \u00e4",
    ],
)
def test_what_is_no_token_is_rejected(api: Api, header: str) -> None:
    answer = api.client.get("/auth/me", headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
