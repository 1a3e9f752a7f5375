"""Issue and verify access tokens: JWTs that are signed with Ed25519 and valid for 15 minutes.

A token contains the whole identity, so verifying it needs neither PostgreSQL nor Redis.
"""

import re
import time
import uuid
from dataclasses import dataclass
from typing import Any

import jwt

from serving.auth.accounts import Account
from serving.auth.revocations import Revocations
from serving.auth.roles import Identity, Role, rights_of
from serving.auth.signing_keys import SigningKeys
from serving.errors import NotSignedIn

ALGORITHM = "EdDSA"  # pinned: the algorithm in a token's header is ignored
TOKEN_TYPE = "at+jwt"  # noqa: S105 -- RFC 9068's type of access tokens, not a secret
ISSUER = "okr-lakehouse"
AUDIENCE = "okr-api"
# Required, and not null; `org` and `user` are required as well, but may be null.
CLAIMS = ["exp", "iat", "aud", "iss", "sub", "jti", "fam", "ver", "role", "teams", "plan"]
LIFE_S = 15 * 60
CLOCK_DIFFERENCE_S = 60  # between the hosts of an installation
LONGEST_TOKEN = 8192
# In the signature, PyJWT ignores characters outside base64url, and the last 4 bits. Only one spelling of a token is
# accepted, so that it has only one entry in the caches.
_SPELLING = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]")
INVALID = "The access token is invalid; get one from POST /auth/token."


@dataclass(frozen=True)
class AccessToken:
    """A signed token and its lifetime."""

    text: str
    expires_in_s: int


@dataclass(frozen=True)
class VerifiedToken:
    """The content of a valid token. `family` is the id of its login; `expires_at` is in seconds since 1970."""

    identity: Identity
    family: str
    expires_at: float


class AccessTokens:
    """Issues and verifies tokens with this installation's signing keys."""

    def __init__(self, keys: SigningKeys, revocations: Revocations) -> None:
        self._keys = keys
        self._revocations = revocations

    def issue(self, account: Account, family: str, now: float | None = None) -> AccessToken:
        """Sign a token for an account. `now` is in seconds since 1970.

        Raises:
            RetryableError: no signing key has been loaded.
        """
        key = self._keys.signing()
        issued = int(time.time() if now is None else now)
        claims = {
            "sub": account.username, "role": account.role.value, "org": account.organisation_id,
            "user": account.user_id, "teams": list(account.team_ids), "plan": account.plan,
            "ver": account.credential_version, "fam": family, "jti": str(uuid.uuid4()), "aud": AUDIENCE, "iss": ISSUER,
            "iat": issued, "exp": issued + LIFE_S,
        }  # fmt: skip
        headers = {"kid": key.kid, "typ": TOKEN_TYPE}
        return AccessToken(jwt.encode(claims, key.private_key, ALGORITHM, headers), LIFE_S)

    def verify(self, text: str) -> VerifiedToken:
        """Verify a token.

        Raises:
            NotSignedIn: the token is expired, revoked or malformed, or has another key, algorithm, issuer or audience.
        """
        try:
            claims = self._claims(text)
            role, organisation_id = Role(claims["role"]), claims["org"]
            identity = Identity(
                username=claims["sub"], role=role, organisation_id=organisation_id, user_id=claims["user"],
                team_ids=tuple(claims["teams"]), rights=rights_of(role, organisation_id), plan=claims["plan"],
                credential=f"token:{claims['jti']}",
            )  # fmt: skip
        except jwt.ExpiredSignatureError as error:
            raise NotSignedIn(
                "The access token has expired; get a new one from POST /auth/refresh or POST /auth/token."
            ) from error
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            raise NotSignedIn(INVALID) from error
        if self._revocations.is_revoked(identity.username, claims["ver"], claims["fam"]):
            raise NotSignedIn("The access token was revoked; log in again with POST /auth/token.")
        return VerifiedToken(identity, claims["fam"], claims["exp"])

    def _claims(self, text: str) -> dict[str, Any]:
        if len(text) > LONGEST_TOKEN or not _SPELLING.fullmatch(text):
            raise NotSignedIn(INVALID)
        header = jwt.get_unverified_header(text)
        key = self._keys.verifying(str(header.get("kid"))) if header.get("typ") == TOKEN_TYPE else None
        if key is None:
            raise NotSignedIn(INVALID)
        claims: dict[str, Any] = jwt.decode(
            text, key, [ALGORITHM], audience=AUDIENCE, issuer=ISSUER,
            options={"require": CLAIMS, "verify_iat": False},
        )  # fmt: skip
        # A token from the future comes from a clock that was wrong and may have been corrected since.
        if claims["iat"] > time.time() + CLOCK_DIFFERENCE_S or claims["exp"] - claims["iat"] > LIFE_S:
            raise NotSignedIn(INVALID)
        return claims
