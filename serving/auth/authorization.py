"""FastAPI dependencies that authenticate a request and check the rights of its identity.

FastAPI's dependencies in this API are coroutines without further dependencies. FastAPI runs any other function in a
thread, and resolving a further dependency takes time, too. Both take longer than authentication with a credential that
was verified within the last minute. Only code that may block runs in a thread.
"""

from typing import Annotated
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from fastapi.security.base import SecurityBase

from serving.auth.known_clients import Client
from serving.auth.recognition import cookie_value
from serving.auth.roles import OF_THE_INSTALLATION, Identity, Right, roles_with
from serving.errors import CrossSite, NotAllowed, NotSignedIn
from serving.limits.rate_limit_enforcement import charge
from serving.services import Services, ServicesDep

UNKNOWN_ADDRESS = "unknown"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = OAuth2PasswordBearer(tokenUrl="auth/token", refreshUrl="auth/refresh", auto_error=False)


class _Described(SecurityBase):
    """A dependency that the API's description names as its security scheme. It reads the header itself."""

    model, scheme_name = _bearer.model, _bearer.scheme_name


class RequireToken(_Described):
    """Dependency for API routes. It returns the identity of a token or an API key that has the required right."""

    def __init__(self, right: Right) -> None:
        self._right = right

    async def __call__(self, request: Request) -> Identity:
        """Raise NotSignedIn if there is no valid token or key, or NotAllowed if it lacks the right."""
        identity = _cached(request)
        if identity is not None:
            return _require_right(request, identity, self._right)
        return await to_thread.run_sync(self._check, request)

    def _check(self, request: Request) -> Identity:
        authenticator = _services(request).auth.authenticator
        return _require_right(request, authenticator.authenticate(request.headers.get("authorization")), self._right)


class RequireSession:
    """Dependency for pages. It returns the session's identity if it has the required right."""

    def __init__(self, right: Right) -> None:
        self._right = right

    def __call__(self, request: Request, services: ServicesDep) -> Identity:
        """Raise NotSignedIn if there is no valid session, or NotAllowed if it lacks the right."""
        cookie = session_cookie(request, services)
        if cookie is None:
            raise NotSignedIn("A session is required; log in at /login.")
        return _require_right(request, services.auth.authenticator.authenticate(None, cookie), self._right)


class RequireTokenOrSession(_Described):
    """Dependency for routes that both programs and browsers use. It accepts a token, an API key or a session.

    Without a right, it accepts every account.
    """

    def __init__(self, right: Right | None = None) -> None:
        self._right = right

    async def __call__(self, request: Request) -> Identity:
        """Raise NotSignedIn if there is no valid credential, or NotAllowed if it lacks the right.

        Raises:
            CrossSite: as in `check`.
        """
        identity = _cached(request)
        if identity is not None:
            return _require_right(request, identity, self._right)
        return await to_thread.run_sync(self.check, request)

    def check(self, request: Request) -> Identity:
        """Authenticate the request and check that its identity has the required right. This may block.

        Raises:
            CrossSite: a browser sent the session's cookie with a change that another site asked for.
        """
        services = _services(request)
        cookie = session_cookie(request, services)
        identity = services.auth.authenticator.authenticate(request.headers.get("authorization"), cookie)
        if identity.credential.startswith("session:") and request.method not in SAFE_METHODS:
            same_origin(request)
        return _require_right(request, identity, self._right)


Caller = Annotated[Identity, Depends(RequireTokenOrSession())]


async def logged_in(caller: Caller) -> Identity:
    """Dependency for routes that require a login with the password: an API key must not end the logins of people.

    Raises:
        NotAllowed: the credential is an API key.
    """
    if caller.credential.startswith("key:"):
        raise NotAllowed("API keys may not manage logins. Log in with a user name and a password.")
    return caller


LoggedIn = Annotated[Identity, Depends(logged_in)]


def check_login(request: Request) -> None:
    """Check that a request has a valid credential, whatever its rights. This may block.

    Raises:
        NotSignedIn: the request has no valid credential.

        RateLimited: its account has used up its rate limit.
    """
    services = _services(request)
    credentials = request.headers.get("authorization"), session_cookie(request, services)
    charge(request.scope, services.auth.authenticator.authenticate(*credentials))


def session_cookie(request: Request, services: Services) -> str | None:
    """Return the value of this installation's session cookie, or None."""
    return _cookie(request, services.auth.cookies.session)


async def client_of(request: Request, services: ServicesDep) -> Client:
    """Return who sent a request: the address (behind trusted proxies, the client's), the device and the program."""
    address = request.client.host if request.client else UNKNOWN_ADDRESS
    return Client(address, _cookie(request, services.auth.cookies.device), request.headers.get("user-agent", ""))


ClientDep = Annotated[Client, Depends(client_of)]


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _cached(request: Request) -> Identity | None:
    """Return the identity of a bearer token or API key that was verified within the last minute. Never blocks."""
    authorization = request.headers.get("authorization")
    return None if authorization is None else _services(request).auth.authenticator.cached(authorization)


def _require_right(request: Request, identity: Identity, right: Right | None) -> Identity:
    request.state.identity = identity
    charge(request.scope, identity)
    if right is None or identity.may(right):
        return identity
    if identity.credential.startswith("key:"):
        raise NotAllowed(f"The API key may not {right.value}. This requires the scope {right.scope!r}, and an account "
                         f"with the role {roles_with(right)}.")  # fmt: skip
    raise NotAllowed(
        f"The account {identity.username!r} has the role {identity.role.value}, which may not {right.value}. "
        f"This requires the role {roles_with(right)}{_of_installation(identity, right)}."
    )


def _of_installation(identity: Identity, right: Right) -> str:
    return " without an organisation" if identity.organisation_id and right in OF_THE_INSTALLATION else ""


def same_origin(request: Request) -> None:
    """Dependency for forms. It rejects posts from other sites by the Origin header that browsers send with each POST.

    Raises:
        CrossSite: the Origin header names another site.
    """
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise CrossSite("The form was posted from another site. Open the page itself and send it from there.")


def _cookie(request: Request, name: str) -> str | None:
    # CPython's unquoting, which Starlette uses, takes quadratic time before 3.11.10 (CVE-2024-7592).
    return cookie_value(request.headers.get("cookie", "").encode("latin-1"), name)
