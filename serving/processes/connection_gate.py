"""Bound how many requests wait for a dependency, and for how long, so that other requests find a thread."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger


class ConnectionGate:
    """Lets `slots` callers use a dependency at a time. The others wait for at most `wait_s`. Thread-safe.

    A slot that becomes free is given to the caller that has waited longest. If callers competed for it, a new caller,
    whose thread is already running, could overtake those that wait, again and again.

    After a failure, all waiting and new callers fail immediately, except for one at a time, which checks whether the
    dependency responds again. Otherwise each request that needs the dependency would occupy a worker thread until its
    time limit.
    """

    def __init__(self, dependency: str, slots: int, wait_s: float) -> None:
        self._dependency = dependency
        self._free = slots
        self._wait_s = wait_s
        self._is_away = False
        self._trial: object | None = None
        self._lock = threading.Lock()
        self._waiting: deque[_Waiter] = deque()
        self._log = get_logger(__name__)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Hold a slot during the block.

        Raises:
            RetryableError: the dependency does not respond, or no slot became free in time.
        """
        caller = self._enter()
        try:
            yield
        finally:
            self._leave(caller)

    def report_failure(self) -> None:
        """Let all waiting and new callers fail immediately, until a caller succeeds."""
        with self._lock:
            self._fail()

    def report_success(self) -> None:
        """Let callers pass again. The caller that checked the dependency holds a slot from now on, like others."""
        if self._is_away:
            with self._lock:
                if self._is_away:
                    self._is_away = False
                    if self._trial is not None:
                        self._trial = None
                        self._free -= 1  # may be negative, because the trial did not wait for a slot
                    self._hand_out()  # to callers that the failure has not woken yet
                    self._log.info("a dependency responds again", dependency=self._dependency)

    def unavailable(self) -> RetryableError:
        """Return the error of a caller who cannot pass."""
        return RetryableError(
            f"{self._dependency} is unavailable, or all connections to it are busy. Try again in a few seconds; "
            "`make status` shows whether it runs."
        )

    def _enter(self) -> object:
        """Take a slot, or check whether the dependency responds. Return an object that identifies this caller."""
        caller = _Waiter(self._lock)
        deadline = time.monotonic() + self._wait_s
        with self._lock:
            if not self._is_away and (self._free <= 0 or self._waiting):
                self._waiting.append(caller)
                while not (caller.has_slot or self._is_away) and (left_s := deadline - time.monotonic()) > 0:
                    caller.changed.wait(left_s)
                if caller.has_slot:
                    return caller
                self._waiting.remove(caller)
                if not self._is_away:
                    self._fail()
                    raise self.unavailable()
            if not self._is_away:
                self._free -= 1
                return caller
            if self._trial is not None:
                raise self.unavailable()
            self._trial = caller
            return caller

    def _leave(self, caller: object) -> None:
        with self._lock:
            if caller is self._trial:
                self._trial = None
                return
            self._free += 1
            self._hand_out()

    def _hand_out(self) -> None:
        while self._free > 0 and self._waiting and not self._is_away:
            self._free -= 1
            first = self._waiting.popleft()
            first.has_slot = True
            first.changed.notify()

    def _fail(self) -> None:
        if not self._is_away:
            self._is_away = True
            self._log.warning("requests that need a dependency fail immediately", dependency=self._dependency)
            for waiter in self._waiting:
                waiter.changed.notify()


class _Waiter:
    """A caller, which may wait for a slot."""

    def __init__(self, lock: threading.Lock) -> None:
        self.changed = threading.Condition(lock)
        self.has_slot = False
