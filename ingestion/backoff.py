"""Growing pauses with jitter between attempts, so that many processes do not reconnect at the same time."""

import random


class Backoff:
    """Pauses for a loop that retries indefinitely: each limit is twice the last, with jitter in its upper half."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first, self._longest = first_seconds, longest_seconds
        self._next = first_seconds

    def pause(self) -> float:
        """Return the number of seconds to wait after another failure."""
        most, self._next = self._next, min(2 * self._next, self._longest)
        return random.uniform(most / 2, most)  # noqa: S311 - not a secret

    def reset(self) -> None:
        """Start with the shortest pause again, after a success."""
        self._next = self._first
