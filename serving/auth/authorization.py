"""FastAPI dependencies that verify a bearer token or a session cookie and check the rights of its role."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from serving.auth.recognition import COOKIE
from serving.auth.roles import Identity, Right, roles_with
from serving.auth.tokens import Audience
from serving.errors import CrossSite, NotAllowed, NotSignedIn
from serving.services import ServicesDep

_bearer = OAuth2PasswordBearer(tokenUrl="auth/token", auto_error=False)
_Bearer = Annotated[str | None, Depends(_bearer)]


class RequireToken:
    """Dependency for API routes. It returns the token's identity if the role has the required right."""

    def __init__(self, right: Right) -> None:
        self._right = right

    def __call__(self, token: _Bearer, services: ServicesDep) -> Identity:
        """Raise NotSignedIn if there is no valid token, or NotAllowed if the role lacks the right."""
        if token is None:
            raise NotSignedIn("A bearer token is required; get one from POST /auth/token.")
        return _require_right(services.tokens.verify(token, Audience.API), self._right)


class RequireSession:
    """Dependency for pages. It returns the session's identity if the role has the required right."""

    def __init__(self, right: Right) -> None:
        self._right = right

    def __call__(self, request: Request, services: ServicesDep) -> Identity:
        """Raise NotSignedIn if there is no valid session, or NotAllowed if the role lacks the right."""
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            raise NotSignedIn("A session is required; log in at /login.")
        return _require_right(services.tokens.verify(cookie, Audience.PAGE), self._right)


class RequireTokenOrSession:
    """Dependency for routes that both programs and browsers use. It accepts a bearer token or a session."""

    def __init__(self, right: Right) -> None:
        self._by_token = RequireToken(right)
        self._by_session = RequireSession(right)

    def __call__(self, request: Request, token: _Bearer, services: ServicesDep) -> Identity:
        """Raise NotSignedIn if there is no valid token or session, or NotAllowed if the role lacks the right."""
        return self._by_token(token, services) if token else self._by_session(request, services)


def _require_right(identity: Identity, right: Right) -> Identity:
    if not identity.may(right):
        raise NotAllowed(
            f"The account {identity.username!r} has the role {identity.role.value}, which may not {right.value}. "
            f"This requires the role {roles_with(right)}."
        )
    return identity


def same_origin(request: Request) -> None:
    """Dependency for forms. It rejects posts from other sites by the Origin header that browsers send with each POST.

    Raises:
        CrossSite: the Origin header names another site.
    """
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise CrossSite("The form was posted from another site. Open the page itself and send it from there.")
