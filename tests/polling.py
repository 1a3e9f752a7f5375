"""Wait for a condition, with limits that suit a busy machine. Tests wait for conditions, never for a fixed time."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def until(true: Callable[[], T], what: str, seconds: float = 90.0, pause: float = 0.1) -> T:
    """Return the first true result of `true`; fail with `what` if there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, f"Not within {seconds:.0f} s: {what}."
        time.sleep(pause)
    return answer


@contextmanager
def repeating(work: Callable[[], object]) -> Iterator[list[object]]:
    """Repeat `work` in a thread while the block runs, at least twice; yield its results."""
    stop, results = threading.Event(), []

    def loop() -> None:
        while not stop.is_set() or len(results) < 2:
            results.append(work())

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(loop)
        try:
            yield results
        finally:
            stop.set()
        running.result(120)
