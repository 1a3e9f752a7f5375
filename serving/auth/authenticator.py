"""Turn a request's credentials into an identity. This module does not use FastAPI.

Routes get identities from `authenticate`, through the dependencies of `authorization`. If a token or API key was
verified within the last minute, this costs a look-up in a dictionary (less than 1 us) and does not block. While
PostgreSQL is unavailable, an API key can be used for 15 minutes after it was verified. The fast path of POST /predict
uses `cached`, which never verifies a credential.
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
from serving.auth.sessions import LIFE_S, Sessions
from serving.errors import NotSignedIn

SCHEME = "bearer "
RETRY_S = 10.0  # how long a known API key is used before it is verified again, while PostgreSQL is unavailable


class Authenticator:
    """Verifies access tokens, API keys and sessions."""

    def __init__(self, tokens: AccessTokens, api_keys: ApiKeys, sessions: Sessions, revocations: Revocations) -> None:
        self._tokens = tokens
        self._api_keys = api_keys
        self._sessions = sessions
        self._cache = CredentialCache()
        self._recent_sessions = CredentialCache()
        revocations.listen(self._cache.drop)
        revocations.listen(self._recent_sessions.drop)

    def authenticate(self, authorization: str | None, session: str | None = None) -> Identity:
        """Return the identity of a caller. `authorization` is the header's value, and `session` the cookie's.

        A Bearer header takes precedence: if there is one, the cookie is ignored. If the credential is not cached,
        this method may block on a query to PostgreSQL (API keys) or Redis (sessions).

        Raises:
            NotSignedIn: there is no valid credential.
            RetryableError: the credential cannot be verified now.
        """
        if authorization is not None:
            text = bearer_of(authorization)
            if text is not None:
                return self._cache.get(text) or self._verify(text)
        if session:
            return self._verify_session(session)
        raise NotSignedIn("Credentials are required: a token from POST /auth/token or an API key, as a bearer token.")

    def cached(self, authorization: str) -> Identity | None:
        """Return the identity of a header if `authenticate` would not have to verify it, else None. Never blocks."""
        text = bearer_of(authorization)
        return None if text is None else self._cache.get(text)

    def known(self, authorization: str | None, session: str | None) -> Identity | None:
        """Return the identity that a credential had when this worker last verified it, or None. Never blocks.

        The credential may have become invalid since, so no access may be granted because of this result.
        """
        text = None if authorization is None else bearer_of(authorization)
        if text is not None:
            return self._cache.known(text)
        return self._recent_sessions.known(session) if session else None

    def _verify_session(self, session: str) -> Identity:
        generation = self._recent_sessions.generation
        try:
            identity = self._sessions.verify(session)
        except NotSignedIn:
            self._recent_sessions.forget(session)
            raise
        self._recent_sessions.put(session, identity, expires_in_s=LIFE_S, generation=generation)
        return identity

    def _verify(self, text: str) -> Identity:
        try:
            return self._verified(text)
        except NotSignedIn:
            self._cache.forget(text)
            raise

    def _verified(self, text: str) -> Identity:
        generation = self._cache.generation
        if text.startswith(REFRESH_TOKEN):
            raise NotSignedIn("This is a refresh token. Exchange it for an access token with POST /auth/refresh.")
        if text.startswith(START):
            return self._verify_key(text, generation)
        token = self._tokens.verify(text)
        self._cache.put(
            text, token.identity, expires_in_s=token.expires_at - time.time(), generation=generation,
            family=token.family,
        )  # fmt: skip
        return token.identity

    def _verify_key(self, text: str, generation: int) -> Identity:
        try:
            key = self._api_keys.verify(text)
        except RetryableError:
            known = self._cache.reuse(text, RETRY_S)
            if known is None:
                raise
            return known
        left_s = (key.expires_at - datetime.now(UTC)).total_seconds() if key.expires_at else float("inf")
        self._cache.put(text, key.identity, expires_in_s=left_s, generation=generation)
        return key.identity


def bearer_of(authorization: str) -> str | None:
    """Return the credential in an Authorization header with the scheme Bearer, or None if it has another scheme."""
    return authorization[len(SCHEME) :] if authorization[: len(SCHEME)].lower() == SCHEME else None
