"""Issue and verify signed tokens (JWT): short-lived ones for programs and longer-lived ones for browser sessions."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import jwt

from lakehouse.errors import PermanentError
from serving.auth.roles import Identity, Role, rights_of
from serving.errors import NotSignedIn

ALGORITHM = "HS256"  # pinned: the algorithm in a token's header is ignored
ISSUER = "okr-lakehouse"
CLAIMS = ["exp", "iat", "aud", "iss", "sub", "jti"]
SHORTEST_SECRET_BYTES = 32  # RFC 7518, section 3.2: the key must be at least as long as the hash


class Audience(StrEnum):
    """The interface that accepts a token. A session token is not valid for the API, and vice versa."""

    API = "okr-api"
    PAGE = "okr-page"


LIFE = {Audience.API: timedelta(minutes=15), Audience.PAGE: timedelta(hours=8)}


@dataclass(frozen=True)
class Token:
    """A signed token and its lifetime."""

    text: str
    expires_in_s: int


class Tokens:
    """Issues and verifies tokens with this installation's secret."""

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < SHORTEST_SECRET_BYTES:
            raise PermanentError(
                f"OKR_JWT_SECRET must be at least {SHORTEST_SECRET_BYTES} bytes; generate a random one."
            )
        self._secret = secret

    def issue(self, identity: Identity, audience: Audience, now: datetime | None = None) -> Token:
        """Sign a token for an account. `now` must have a time zone."""
        issued = now or datetime.now(UTC)
        claims = {
            "sub": identity.username,
            "role": identity.role.value,
            "org": identity.organisation_id,
            "user": identity.user_id,
            "teams": list(identity.team_ids),
            "plan": identity.plan,
            "aud": audience.value,
            "iss": ISSUER,
            "iat": issued,
            "exp": issued + LIFE[audience],
            "jti": str(uuid.uuid4()),
        }
        return Token(jwt.encode(claims, self._secret, ALGORITHM), int(LIFE[audience].total_seconds()))

    def verify(self, text: str, audience: Audience) -> Identity:
        """Verify a token and return its identity.

        Raises:
            NotSignedIn: the token is expired, has another issuer or audience, or is malformed.
        """
        try:
            claims = jwt.decode(
                text, self._secret, [ALGORITHM], audience=audience.value, issuer=ISSUER, options={"require": CLAIMS}
            )
            role, organisation_id = Role(claims["role"]), claims["org"]
            return Identity(
                username=claims["sub"], role=role, organisation_id=organisation_id, user_id=claims["user"],
                team_ids=tuple(claims["teams"]), rights=rights_of(role, organisation_id), plan=claims["plan"],
                credential=f"token:{claims['jti']}",
            )  # fmt: skip
        except jwt.ExpiredSignatureError as error:
            raise NotSignedIn("The token has expired; get a new one from POST /auth/token.") from error
        except (jwt.InvalidTokenError, KeyError, ValueError) as error:
            raise NotSignedIn("The token is invalid; get one from POST /auth/token.") from error
