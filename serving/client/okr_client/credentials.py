"""How requests are authenticated: with an API key or a token, or by a login whose tokens are refreshed when needed."""

import threading
import time
from collections.abc import AsyncGenerator, Generator
from typing import Any

import anyio
import httpx
import msgspec

from okr_client.errors import error_of

REFRESH_BEFORE_S = 30.0
UNAUTHORIZED = 401


class Bearer(httpx.Auth):
    """An API key or an access token."""

    def __init__(self, credential: str) -> None:
        self._value = f"Bearer {credential}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the credential to a request."""
        request.headers["Authorization"] = self._value
        yield request


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: float
    refresh_token: str


class Login(httpx.Auth):
    """A user name and a password.

    It logs in with the first request, and refreshes the tokens shortly before they expire. Requests of several threads
    or tasks share one login.
    """

    requires_response_body = False

    def __init__(self, base_url: httpx.URL, username: str, password: str) -> None:
        self._base_url = base_url
        self._credentials = {"username": username, "password": password}
        self._grant: _Grant | None = None
        self._refresh_at = 0.0
        self._lock = threading.Lock()
        self._async_lock = anyio.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request with a valid access token, and once more if the API no longer accepts the token."""
        for is_rejected in (False, True):
            with self._lock:
                steps = self._token(request, is_rejected=is_rejected)
                token_request = next(steps, None)
                while token_request is not None:
                    response = yield token_request
                    response.read()
                    token_request = _next(steps, response)
                self._authorize(request)
            if (yield request).status_code != UNAUTHORIZED:
                return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same with coroutines."""
        for is_rejected in (False, True):
            async with self._async_lock:
                steps = self._token(request, is_rejected=is_rejected)
                token_request = next(steps, None)
                while token_request is not None:
                    response = yield token_request
                    await response.aread()
                    token_request = _next(steps, response)
                self._authorize(request)
            if (yield request).status_code != UNAUTHORIZED:
                return

    def _token(self, request: httpx.Request, *, is_rejected: bool) -> Generator[httpx.Request, httpx.Response, None]:
        """Get a valid token for a request, if there is none. `is_rejected`: the API did not accept its present token.

        Raises:
            ApiError: the login failed.
        """
        if is_rejected and self._grant is not None:
            if request.headers["Authorization"] != f"Bearer {self._grant.access_token}":
                return  # another thread already has a new token
            self._refresh_at = 0.0
        if self._grant is not None:
            if time.monotonic() < self._refresh_at:
                return
            response = yield self._post("auth/refresh", {"refresh_token": self._grant.refresh_token}, request)
            if response.is_success:
                self._keep(response)
                return
        response = yield self._post("auth/token", self._credentials, request)
        if not response.is_success:
            self._grant = None
            raise error_of(response)
        self._keep(response)

    def _post(self, path: str, body: dict[str, str], cause: httpx.Request) -> httpx.Request:
        url = f"{str(self._base_url).rstrip('/')}/{path}"
        return httpx.Request("POST", url, json=body, extensions=cause.extensions)  # with the same time limits

    def _keep(self, response: httpx.Response) -> None:
        self._grant = msgspec.json.decode(response.content, type=_Grant)
        self._refresh_at = time.monotonic() + self._grant.expires_in - REFRESH_BEFORE_S

    def _authorize(self, request: httpx.Request) -> None:
        if self._grant is not None:
            request.headers["Authorization"] = f"Bearer {self._grant.access_token}"


def _next(steps: Generator[httpx.Request, httpx.Response, None], response: httpx.Response) -> httpx.Request | None:
    try:
        return steps.send(response)
    except StopIteration:
        return None


def credential(
    base_url: httpx.URL, *, api_key: str | None, access_token: str | None, username: str | None, password: str | None
) -> httpx.Auth | None:
    """Return how to authenticate; None without any credential.

    Raises:
        ValueError: there is more than one credential, or only a part of one.
    """
    login: Any = (username, password) if username is not None or password is not None else None
    given = [each for each in (api_key, access_token, login) if each is not None]
    if len(given) > 1:
        raise ValueError("Expected one credential: api_key, or access_token, or username and password.")
    if login is None:
        return Bearer(str(given[0])) if given else None
    if username is None or password is None:
        raise ValueError("Expected both username and password.")
    return Login(base_url, username, password)
