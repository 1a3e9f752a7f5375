"""Run a blocking function outside of the worker threads of requests, once for all callers that wait together."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Calls `work` in a separate thread. Use it on one event loop only.

    A caller who arrives while `work` runs gets the result of that run. Routes that must answer under overload use this,
    so they neither wait for a free worker thread nor occupy more than one.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._running: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return the result of the current or a new run."""
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())
        return await asyncio.shield(self._running)

    async def _run(self) -> T:
        return await to_thread.run_sync(self._work, limiter=CapacityLimiter(1))
