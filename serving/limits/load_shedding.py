"""Bound the requests in progress and their duration, so that an overloaded worker refuses work before it collapses.

Requests beyond the bound wait briefly for a free slot. If too many wait, or one waits too long, it is refused (503). A
request that takes too long is answered (503) although its thread still works. It keeps its slot until the thread has
finished, so abandoned work cannot accumulate. Other requests give their slots back when their responses start: the work
is done, and a client that reads slowly must not hold a slot. (Exports have separate slots.)
"""

import asyncio
import contextlib
from collections import deque

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.error_responses import Problem
from serving.limits.deadlines import Deadlines
from serving.observability import metrics

SLOTS = 40  # as many as worker threads
MOST_WAITING = 200
WAIT_S = 2.0
TIME_LIMIT_S = 30.0  # longer than the longest statement (publication_reader.LIMITS)
RETRY_AFTER_S = 2
EXEMPT = frozenset({"/livez", "/readyz", "/health", "/metrics"})


class Slots:
    """Slots for requests in progress, and a queue of those that wait for one. Use it on one event loop only."""

    def __init__(self, slots: int = SLOTS, most_waiting: int = MOST_WAITING, wait_s: float = WAIT_S) -> None:
        self.free = slots
        self.waiting: deque[asyncio.Future[None]] = deque()
        self._most_waiting = most_waiting
        self._wait_s = wait_s

    async def enter(self) -> bool:
        """Take a slot and return true. Return false if the queue is full or no slot became free in time."""
        if self.free and not self.waiting:
            self.free -= 1
            return True
        if len(self.waiting) >= self._most_waiting:
            return False
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await asyncio.wait_for(turn, self._wait_s)
        except TimeoutError:
            return False
        finally:
            if turn.cancelled():
                with contextlib.suppress(ValueError):
                    self.waiting.remove(turn)
        return True

    def leave(self) -> None:
        """Give the slot to the first request that waits, or mark it as free."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1


class _Running:
    """A request in progress. Once it is answered because of the time limit, what the application sends is dropped."""

    __slots__ = ("_send", "_slots", "has_slot", "has_started", "is_too_late", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive, send: Send, slots: Slots) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self._slots = slots
        self.has_slot = True
        self.has_started = self.is_too_late = False

    async def send(self, message: Message) -> None:
        if self.is_too_late:
            return
        if not self.has_started:
            self.has_started = True
            self.give_back()
        await self._send(message)

    def give_back(self) -> None:
        if self.has_slot:
            self.has_slot = False
            self._slots.leave()

    async def refuse(self) -> None:
        metrics.REFUSALS.labels("time_limit").inc()
        await _too_slow().response()(self.scope, self.receive, self._send)


class LoadShedding:
    """ASGI middleware around the routes. Layers that answer from memory belong outside of it."""

    def __init__(self, app: ASGIApp, *, slots: Slots | None = None, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._app = app
        self._slots = slots or Slots()
        self._running: Deadlines[_Running] = Deadlines(time_limit_s, self._expire)
        self._late_answers: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application if a slot is free, or refuse the request."""
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            await self._app(scope, receive, send)
            return
        if not await self._slots.enter():
            metrics.REFUSALS.labels("overload").inc()
            await _overloaded().response()(scope, receive, send)
            return
        running = _Running(scope, receive, send, self._slots)
        self._running.add(running)
        try:
            await self._app(scope, receive, running.send)
        except Exception:
            if not running.is_too_late:  # otherwise the caller already has an answer
                raise
        finally:
            self._running.remove(running)
            running.give_back()

    def _expire(self, running: _Running) -> None:
        if running.has_started:  # a stream may take longer
            return
        running.is_too_late = True
        answer = asyncio.get_running_loop().create_task(running.refuse())
        self._late_answers.add(answer)
        answer.add_done_callback(self._late_answers.discard)


def _overloaded() -> Problem:
    detail = "Too many requests are in progress. Try again after the time in Retry-After."
    return Problem(503, detail, "overloaded", {"Retry-After": str(RETRY_AFTER_S)})


def _too_slow() -> Problem:
    detail = (
        "The request took too long, so its result is not returned. A write may still be carried out: repeat it with "
        "the same Idempotency-Key."
    )
    return Problem(503, detail, "time-limit", {"Retry-After": str(RETRY_AFTER_S)})
