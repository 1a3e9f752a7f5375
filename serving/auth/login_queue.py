"""Limit how many logins verify passwords at the same time. Other logins wait without a thread, and delay no request."""

import asyncio
from collections import deque

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.auth.client_address import UNKNOWN, network_of
from serving.auth.passwords import MAX_CONCURRENT
from serving.http.error_responses import Problem

PATHS = frozenset({"/auth/token", "/auth/password", "/login", "/password"})
MOST_WAITING = 500
WAIT_S = 20.0
RETRY_AFTER_S = 5


class FairSlots:
    """Slots for logins, and one queue per client network. Networks are served in turn. Use it on one event loop only.

    However many logins a network sends, a login of another network waits for at most one of them. If the queues are
    full, the newest login of the network with the most logins is rejected. The arriving login is counted, so it can be
    the rejected one.
    """

    def __init__(self, slots: int = MAX_CONCURRENT, most_waiting: int = MOST_WAITING, wait_s: float = WAIT_S) -> None:
        self.free = slots
        self._most_waiting = most_waiting
        self._wait_s = wait_s
        self._waiting: dict[str, deque[asyncio.Future[bool]]] = {}  # in the order of their turns

    async def enter(self, network: str) -> bool:
        """Wait for a slot. Return false if the login is rejected: it waited too long, or the queues were full."""
        if self.free:
            self.free -= 1
            return True
        if sum(map(len, self._waiting.values())) >= self._most_waiting and not self._make_room(network):
            return False
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(network, deque()).append(turn)
        try:
            async with asyncio.timeout(self._wait_s):
                return await turn
        except TimeoutError:
            return _has_slot(turn)
        except asyncio.CancelledError:
            if _has_slot(turn):
                self.leave()
            raise
        finally:
            self._remove(network, turn)

    def leave(self) -> None:
        """Give the slot to the first login of the network whose turn it is, or mark it as free."""
        while self._waiting:
            network, queue = next(iter(self._waiting.items()))
            del self._waiting[network]
            turn = queue.popleft()
            if queue:
                self._waiting[network] = queue
            if not turn.done():
                turn.set_result(True)
                return
        self.free += 1

    def _make_room(self, network: str) -> bool:
        largest = max(self._waiting.values(), key=len)
        if len(largest) <= len(self._waiting.get(network, ())) + 1:
            return False
        turn = largest.pop()
        if not turn.done():
            turn.set_result(False)
        return True

    def _remove(self, network: str, turn: asyncio.Future[bool]) -> None:
        queue = self._waiting.get(network)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[network]


class LoginQueue:
    """ASGI middleware. It is outside of the load shedding, so that waiting logins take none of its slots."""

    def __init__(self, app: ASGIApp, slots: FairSlots | None = None) -> None:
        self._app = app
        self._slots = slots or FairSlots()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. A login first waits for a slot, and is rejected if it gets none."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
        elif await self._slots.enter(network_of(scope["client"][0]) if scope["client"] else UNKNOWN):
            await self._verify(scope, receive, send)
        else:
            detail = "Too many concurrent logins; try again in a few seconds."
            problem = Problem(503, detail, "unavailable", {"Retry-After": str(RETRY_AFTER_S)})
            await problem.response()(scope, receive, send)

    async def _verify(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep the slot until the response starts: a client that reads slowly must not hold it."""
        has_slot = True

        def give_back() -> None:
            nonlocal has_slot
            if has_slot:
                has_slot = False
                self._slots.leave()

        async def answer(message: Message) -> None:
            give_back()
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            give_back()


def _has_slot(turn: asyncio.Future[bool]) -> bool:
    return turn.done() and not turn.cancelled() and turn.result()
