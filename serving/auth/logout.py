"""End the login to which a credential belongs. This module does not use FastAPI."""

from serving.auth.access_tokens import AccessTokens
from serving.auth.audit_log import AuditLog, Event
from serving.auth.authenticator import bearer_of
from serving.auth.refresh_tokens import RefreshTokens
from serving.auth.sessions import Sessions


class Logout:
    """Ends browser sessions and logins of apps."""

    def __init__(
        self, tokens: AccessTokens, refresh_tokens: RefreshTokens, sessions: Sessions, audit: AuditLog
    ) -> None:
        self._tokens = tokens
        self._refresh_tokens = refresh_tokens
        self._sessions = sessions
        self._audit = audit

    def end(self, authorization: str | None, session: str | None, address: str) -> None:
        """End a session, or the login of an access token (with its refresh tokens).

        A session ends immediately. Every worker rejects the tokens within 2 seconds. An API key has no login; to end
        its use, it is revoked.

        Raises:
            NotSignedIn: the access token is invalid.
            RetryableError: Redis or PostgreSQL is unavailable.
        """
        text = None if authorization is None else bearer_of(authorization)
        if text is not None:
            token = self._tokens.verify(text)
            self._refresh_tokens.revoke(token.family, token.identity.username, address)
        elif session:
            username = self._sessions.end_by_cookie(session)
            if username is not None:
                self._audit.record(Event("logout", username, username, address=address))
