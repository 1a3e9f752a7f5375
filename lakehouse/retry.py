"""Retries: attempts within a time limit, and increasing pauses with jitter for loops that retry indefinitely.

Jitter prevents many processes from reconnecting at the same time.
"""

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenacity import Retrying

FIRST_PAUSE_S = 0.2


def attempts(
    error: type[Exception], limit_s: float, *, pause_s: float | None = None, longest_pause_s: float = 2.0
) -> "Retrying":
    """Return a `Retrying` that repeats a call while it raises `error`. After `limit_s` seconds, the error propagates.

    Each pause lasts `pause_s`. By default, pauses start at 0.2 s and double, plus a random time of up to 1 s, and never
    exceed `longest_pause_s`.
    """
    from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter, wait_fixed

    increasing = wait_exponential_jitter(multiplier=FIRST_PAUSE_S, max=longest_pause_s)
    return Retrying(
        retry=retry_if_exception_type(error),
        wait=increasing if pause_s is None else wait_fixed(pause_s),
        stop=stop_after_delay(limit_s),
        reraise=True,
    )


class Backoff:
    """Pauses for a loop that retries indefinitely: each is 50-100 % of a limit that doubles up to a maximum."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first, self._longest = first_seconds, longest_seconds
        self._next = first_seconds

    def pause(self) -> float:
        """Return the number of seconds to wait after another failure."""
        most, self._next = self._next, min(2 * self._next, self._longest)
        return random.uniform(most / 2, most)  # noqa: S311 - not a secret

    def reset(self) -> None:
        """Start with the shortest pause again after a success."""
        self._next = self._first
