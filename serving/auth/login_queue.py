"""Limit how many logins verify passwords concurrently. The others wait without a thread and delay no other request."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.auth.passwords import MAX_CONCURRENT
from serving.error_responses import Problem

PATHS = frozenset({"/auth/token", "/auth/password", "/login", "/password"})
MOST_WAITING = 500
WAIT_S = 20.0
RETRY_AFTER_S = 5


class LoginQueue:
    """ASGI middleware outside of the load shedding, whose slots waiting logins must not take."""

    def __init__(
        self, app: ASGIApp, *, most: int = MAX_CONCURRENT, most_waiting: int = MOST_WAITING, wait_s: float = WAIT_S
    ) -> None:
        self._app = app
        self._slots = asyncio.Semaphore(most)
        self._most_waiting = most_waiting
        self._wait_s = wait_s
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a login only after a place in the queue became free."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
        elif await self._enter():
            try:
                await self._app(scope, receive, send)
            finally:
                self._slots.release()
        else:
            detail = "Too many concurrent logins; try again in a few seconds."
            problem = Problem(503, detail, "unavailable", {"Retry-After": str(RETRY_AFTER_S)})
            await problem.response()(scope, receive, send)

    async def _enter(self) -> bool:
        if self._waiting >= self._most_waiting:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._slots.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True
