"""Send the live figures to many clients as server-sent events.

While there are clients, one task per process reads Redis once a second, regardless of their number. Each client is
served by a coroutine that waits for the next figures and occupies no thread. A slow client skips outdated figures.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from anyio import CapacityLimiter, to_thread

from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger
from serving.data.live_figures import LiveFigures

MAX_CLIENTS = 200  # per process
MAX_PER_ACCOUNT = 10  # of them, so that one account cannot keep the others away
READ_S = 1.0
HEARTBEAT_S = 15.0
LOGIN_CHECK_S = 5.0
RECONNECT_MS = 3_000


class LiveStream:
    """The stream of one process. Its methods run on the event loop, except `stop`."""

    def __init__(self, live: LiveFigures) -> None:
        self._live = live
        self._accounts: Counter[str] = Counter()
        self._newest: bytes | None = None
        self._number = 0
        self._changed: asyncio.Condition | None = None
        self._reader: asyncio.Task[None] | None = None
        self._threads: CapacityLimiter | None = None
        self._is_stopping = False
        self._log = get_logger(__name__)

    @property
    def clients(self) -> int:
        """Return the number of connected clients."""
        return self._accounts.total()

    def stop(self) -> None:
        """End all streams within a second, because a server that shuts down waits for them."""
        self._is_stopping = True

    def check_capacity(self, account: str) -> None:
        """Check that another client, with a login of an account, can be served.

        Raises:
            RetryableError: there are too many clients, in total or of the account, or the service is stopping.
        """
        if self._is_stopping or self.clients >= MAX_CLIENTS:
            raise RetryableError(f"At most {MAX_CLIENTS} clients can follow the figures; try again later.")
        if self._accounts[account] >= MAX_PER_ACCOUNT:
            raise RetryableError(f"At most {MAX_PER_ACCOUNT} clients of an account can follow the figures.")

    async def events(self, account: str, is_signed_in: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Yield events until the client disconnects or its login ends. `is_signed_in` may block."""
        self._accounts[account] += 1
        try:
            yield f"retry: {RECONNECT_MS}\n\n".encode()
            async for event in self._figures(is_signed_in):
                yield event
        finally:
            self._accounts[account] -= 1
            if not self._accounts[account]:
                del self._accounts[account]

    async def _figures(self, is_signed_in: Callable[[], bool]) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        seen, sent_at, checked_at = 0, clock(), clock()
        while not self._is_stopping:
            await self._wait_for_newer(seen)
            if clock() >= checked_at + LOGIN_CHECK_S:
                if not await to_thread.run_sync(is_signed_in, limiter=self._limiter()):
                    yield b'event: end\ndata: {"reason": "The login has ended; log in again."}\n\n'
                    return
                checked_at = clock()
            if self._newest is not None and self._number > seen:
                seen, sent_at = self._number, clock()
                yield self._newest
            elif clock() >= sent_at + HEARTBEAT_S:
                sent_at = clock()
                yield b": heartbeat\n\n"

    async def _wait_for_newer(self, seen: int) -> None:
        """Wait until there are newer figures than number `seen`, but at most READ_S seconds."""
        if self._changed is None:
            self._changed = asyncio.Condition()
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        try:
            async with self._changed, asyncio.timeout(READ_S):
                await self._changed.wait_for(lambda: self._number > seen)
        except TimeoutError:
            return

    async def _read(self) -> None:
        """Read the figures once a second until no client is left."""
        assert self._changed is not None  # noqa: S101 -- created before this task
        while self._accounts and not self._is_stopping:
            try:
                event = _event(await to_thread.run_sync(self._live.read, limiter=self._limiter()))
            except Exception as error:  # the clients keep their connections
                self._log.error("live figures cannot be read", error=str(error), exc_info=error)
                event = _event(None)
            if event != self._newest:
                async with self._changed:
                    self._newest, self._number = event, self._number + 1
                    self._changed.notify_all()
            await asyncio.sleep(READ_S)

    def _limiter(self) -> CapacityLimiter:
        """Return the limit of threads that all clients of this stream share."""
        if self._threads is None:
            self._threads = CapacityLimiter(2)
        return self._threads


def _event(figures: dict[str, Any] | None) -> bytes:
    """Return the event with the figures; `unavailable` if Redis does not respond."""
    if figures is None:
        return b"event: unavailable\ndata: null\n\n"
    return b"event: figures\ndata: " + msgspec.json.encode(figures) + b"\n\n"
