"""Pauses between attempts that grow and jitter, so that many processes do not come back to a broker all at once."""

import random


class Backoff:
    """Pauses for a loop that never gives up: each up to twice as long as the last, and at random in its upper half."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first, self._longest = first_seconds, longest_seconds
        self._next = first_seconds

    def pause(self) -> float:
        """Return how many seconds to wait now, after one more failure."""
        most, self._next = self._next, min(2 * self._next, self._longest)
        return random.uniform(most / 2, most)  # noqa: S311 - no secret

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._next = self._first
