"""Which right a route asks for: dependencies that read a bearer token, or a session's cookie."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from serving.auth.roles import Identity, Right, roles_with
from serving.auth.tokens import Audience
from serving.errors import CrossSite, NotAllowed, NotSignedIn
from serving.services import ServicesDep

COOKIE = "okr_session"

_bearer = OAuth2PasswordBearer(tokenUrl="auth/token", auto_error=False)
_Bearer = Annotated[str | None, Depends(_bearer)]


class RequireToken:
    """Dependency of an API route: the caller's identity, if the role of their token includes the right."""

    def __init__(self, right: Right) -> None:
        self._right = right

    def __call__(self, token: _Bearer, services: ServicesDep) -> Identity:
        """Raise NotSignedIn without a valid token, NotAllowed without the right."""
        if token is None:
            raise NotSignedIn("A bearer token is expected; get one from POST /auth/token.")
        return _allowed(services.tokens.verify(token, Audience.API), self._right)


class RequireSession:
    """Dependency of a page: the identity in the session's cookie, if its role includes the right."""

    def __init__(self, right: Right) -> None:
        self._right = right

    def __call__(self, request: Request, services: ServicesDep) -> Identity:
        """Raise NotSignedIn without a session, NotAllowed without the right."""
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            raise NotSignedIn("A session is expected; log in at /login.")
        return _allowed(services.tokens.verify(cookie, Audience.PAGE), self._right)


class RequireTokenOrSession:
    """Dependency of what programs and people read alike: a bearer token, or else a session."""

    def __init__(self, right: Right) -> None:
        self._caller = RequireToken(right)
        self._visitor = RequireSession(right)

    def __call__(self, request: Request, token: _Bearer, services: ServicesDep) -> Identity:
        """Raise NotSignedIn without either, NotAllowed without the right."""
        return self._caller(token, services) if token else self._visitor(request, services)


def _allowed(identity: Identity, right: Right) -> Identity:
    if not identity.may(right):
        raise NotAllowed(
            f"The account {identity.username!r} has the role {identity.role.value}, which may not {right.value}; "
            f"{roles_with(right)} may."
        )
    return identity


def same_origin(request: Request) -> None:
    """Dependency of forms: refuse a POST that another site's page sent (browsers always say where a POST is from).

    Raises:
        CrossSite: the Origin is not this service.
    """
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise CrossSite("The form was posted from another site. Open the page itself and send it from there.")
