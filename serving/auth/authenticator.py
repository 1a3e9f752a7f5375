"""Turn a request's credentials into an identity. This module does not depend on HTTP.

`authenticate` is the only way to an identity: routes call it through the dependencies of `authorization`, and the fast
path of POST /predict calls it directly. If the credential was verified within the last minute, it costs a look-up in a
dictionary (below 1 us) and does not block.
"""

import time
from datetime import UTC, datetime

from lakehouse.errors import RetryableError
from serving.auth.access_tokens import AccessTokens
from serving.auth.api_keys import START, ApiKeys
from serving.auth.credential_cache import CredentialCache
from serving.auth.refresh_tokens import PREFIX as REFRESH_TOKEN
from serving.auth.revocations import Revocations
from serving.auth.roles import Identity
from serving.auth.sessions import Sessions
from serving.errors import NotSignedIn

SCHEME = "bearer "
RECENT_S = 60.0
RETRY_S = 10.0  # how long a known API key is used before it is verified again, while PostgreSQL is unavailable


class Authenticator:
    """Verifies access tokens, API keys and sessions."""

    def __init__(self, tokens: AccessTokens, api_keys: ApiKeys, sessions: Sessions, revocations: Revocations) -> None:
        self._tokens = tokens
        self._api_keys = api_keys
        self._sessions = sessions
        self._cache = CredentialCache()
        self.cached = self._cache.get
        """Return the identity of an Authorization header that was verified recently, or None. Never blocks."""
        self._recent_sessions = CredentialCache()
        revocations.listen(self._cache.drop)
        revocations.listen(self._recent_sessions.drop)

    def authenticate(self, authorization: str | None, session: str | None = None) -> Identity:
        """Return the identity of a caller. `authorization` is the header's value, and `session` the cookie's.

        A header with the scheme Bearer decides alone, even if there is also a cookie. If the credential is not cached,
        this method may block on a query to PostgreSQL (API keys) or Redis (sessions).

        Raises:
            NotSignedIn: there is no valid credential.
            RetryableError: the credential cannot be verified now.
        """
        if authorization is not None:
            known = self._cache.get(authorization)
            if known is not None:
                return known
            if is_bearer(authorization):
                return self._verify(authorization)
        if session:
            return self._verify_session(session)
        raise NotSignedIn("Credentials are required: a token from POST /auth/token or an API key, as a bearer token.")

    def recent_session(self, session: str) -> Identity | None:
        """Return the identity of a session that was verified within the last minute, or None. Never blocks.

        The session may have ended since, so this must not decide on access.
        """
        return self._recent_sessions.get(session)

    def _verify_session(self, session: str) -> Identity:
        generation = self._recent_sessions.generation
        identity = self._sessions.verify(session)
        self._recent_sessions.put(session, identity, expires_in_s=RECENT_S, generation=generation)
        return identity

    def _verify(self, authorization: str) -> Identity:
        text, generation = authorization[len(SCHEME) :], self._cache.generation
        if text.startswith(REFRESH_TOKEN):
            raise NotSignedIn("This is a refresh token. Exchange it for an access token with POST /auth/refresh.")
        if text.startswith(START):
            return self._verify_key(authorization, text, generation)
        token = self._tokens.verify(text)
        self._cache.put(
            authorization, token.identity, expires_in_s=token.expires_at - time.time(), generation=generation,
            family=token.family,
        )  # fmt: skip
        return token.identity

    def _verify_key(self, authorization: str, text: str, generation: int) -> Identity:
        try:
            key = self._api_keys.verify(text)
        except RetryableError:
            known = self._cache.reuse(authorization, RETRY_S)
            if known is None:
                raise
            return known
        left_s = (key.expires_at - datetime.now(UTC)).total_seconds() if key.expires_at else float("inf")
        self._cache.put(authorization, key.identity, expires_in_s=left_s, generation=generation)
        return key.identity


def is_bearer(authorization: str) -> bool:
    """Return whether an Authorization header has the scheme Bearer."""
    return authorization[: len(SCHEME)].lower() == SCHEME
