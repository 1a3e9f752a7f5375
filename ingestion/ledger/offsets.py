"""Find gaps and repeated offsets in one partition. This module accesses neither Kafka nor the lake."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

GROWTH_OFFSETS = 1_000_000  # the array of counts grows by this many offsets at a time


@dataclass(frozen=True)
class Gap:
    """Offsets from `start` to `end`, exclusive, that are not in the lake."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.start}" if self.end == self.start + 1 else f"{self.start}-{self.end - 1}"

    def is_within(self, others: Iterable["Gap"]) -> bool:
        """Return whether the other gaps, which are ordered by start, contain all offsets of this one."""
        start = self.start
        for other in others:
            if other.start <= start:
                start = max(start, other.end)
        return start >= self.end


@dataclass(frozen=True)
class Repeat:
    """An offset that is in the lake more than once."""

    offset: int
    times: int


def _no_counts() -> "np.ndarray":
    import numpy as np

    return np.zeros(0, np.uint8)


@dataclass
class Tally:
    """Counts the occurrences of a partition's offsets, with one byte per offset. Ten million offsets take 10 MB."""

    _base: int = 0
    _counts: "np.ndarray" = field(default_factory=_no_counts)

    def add(self, offsets: "np.ndarray") -> None:
        """Add offsets to the counts."""
        import numpy as np

        if not len(offsets):
            return
        values, times = np.unique(offsets, return_counts=True)
        self._grow(int(values[0]), int(values[-1]) + 1)
        indexes = values - self._base
        self._counts[indexes] = np.minimum(self._counts[indexes] + times, 255)

    @property
    def first(self) -> int | None:
        """The smallest offset seen."""
        import numpy as np

        seen = np.flatnonzero(self._counts)
        return self._base + int(seen[0]) if len(seen) else None

    def distinct(self, first: int, end: int) -> int:
        """Return the number of distinct offsets seen from `first` to `end`, exclusive."""
        import numpy as np

        return int(np.count_nonzero(self._between(first, end)))

    def distinct_from(self, first: int) -> int:
        """Return the number of distinct offsets seen at or beyond `first`."""
        return self.distinct(first, self._base + len(self._counts))

    def gaps(self, first: int, end: int) -> list[Gap]:
        """Return the gaps in the seen offsets from `first` to `end`, exclusive."""
        import numpy as np

        start, stop = max(first, self._base), min(end, self._base + len(self._counts))
        if start >= stop:
            return [Gap(first, end)] if first < end else []
        # A sentinel on each side extends the outermost gaps to `first` and `end`.
        seen = np.flatnonzero(self._between(start, stop)) + start
        bounded = np.concatenate(([first - 1], seen, [end]))
        holes = np.flatnonzero(np.diff(bounded) > 1)
        return [Gap(int(bounded[hole]) + 1, int(bounded[hole + 1])) for hole in holes]

    def repeats(self) -> list[Repeat]:
        """Return the offsets that were seen more than once (255 means 255 times or more)."""
        import numpy as np

        repeated = np.flatnonzero(self._counts > 1)
        return [Repeat(self._base + int(index), int(self._counts[index])) for index in repeated]

    def _between(self, first: int, end: int) -> "np.ndarray":
        return self._counts[max(first - self._base, 0) : max(end - self._base, 0)]

    def _grow(self, first: int, end: int) -> None:
        import numpy as np

        if not len(self._counts):
            self._base = first
        before = self._base - first
        if before > 0:
            before = min(before + GROWTH_OFFSETS, self._base)
            self._counts = np.concatenate((np.zeros(before, np.uint8), self._counts))
            self._base -= before
        beyond = end - self._base - len(self._counts)
        if beyond > 0:
            self._counts = np.concatenate((self._counts, np.zeros(beyond + GROWTH_OFFSETS, np.uint8)))
