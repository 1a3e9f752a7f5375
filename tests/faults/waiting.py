"""Waiting for a condition on a busy machine: generous limits, never a pause in the place of a condition."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(true: Callable[[], T], what: str, seconds: float = 90.0, pause: float = 0.1) -> T:
    """Return the first true answer of `true`; fail with `what` was awaited when none came in time."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, f"Waited {seconds:.0f} s in vain: {what}."
        time.sleep(pause)
    return answer
