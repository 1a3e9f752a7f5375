"""Arithmetic of one partition's offsets: gaps and repeats. Knows neither Kafka nor a lake."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SPARE = 1_000_000  # offsets for which room is made at a time


@dataclass(frozen=True)
class Gap:
    """Offsets from `start` up to before `end` that are not in the lake."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.start}" if self.end == self.start + 1 else f"{self.start}-{self.end - 1}"

    def is_within(self, others: Iterable["Gap"]) -> bool:
        """Say whether each of the offsets is in one of the others, which rise by their starts."""
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
    """How often each offset of a partition was seen, in one byte: ten million offsets take 10 MB, in any order."""

    _base: int = 0
    _counts: "np.ndarray" = field(default_factory=_no_counts)

    def add(self, offsets: "np.ndarray") -> None:
        """Count offsets."""
        import numpy as np

        if not len(offsets):
            return
        values, times = np.unique(offsets, return_counts=True)
        self._make_room(int(values[0]), int(values[-1]) + 1)
        places = values - self._base
        self._counts[places] = np.minimum(self._counts[places] + times, 255)

    @property
    def first(self) -> int | None:
        """The smallest offset seen."""
        import numpy as np

        seen = np.flatnonzero(self._counts)
        return self._base + int(seen[0]) if len(seen) else None

    def distinct(self, first: int, end: int) -> int:
        """Return how many different offsets were seen from `first` up to before `end`."""
        import numpy as np

        return int(np.count_nonzero(self._between(first, end)))

    def distinct_from(self, first: int) -> int:
        """Return how many different offsets were seen at or beyond `first`."""
        return self.distinct(first, self._base + len(self._counts))

    def gaps(self, first: int, end: int) -> list[Gap]:
        """Return what was not seen of the offsets from `first` up to before `end`."""
        import numpy as np

        start, stop = max(first, self._base), min(end, self._base + len(self._counts))
        if start >= stop:
            return [Gap(first, end)] if first < end else []
        # A sentinel on both sides; what lies outside of what was ever seen is one with the gap beside it.
        seen = np.flatnonzero(self._between(start, stop)) + start
        fenced = np.concatenate(([first - 1], seen, [end]))
        holes = np.flatnonzero(np.diff(fenced) > 1)
        return [Gap(int(fenced[hole]) + 1, int(fenced[hole + 1])) for hole in holes]

    def repeats(self) -> list[Repeat]:
        """Return the offsets that were seen more than once (255 times stands for that and more)."""
        import numpy as np

        twice = np.flatnonzero(self._counts > 1)
        return [Repeat(self._base + int(place), int(self._counts[place])) for place in twice]

    def _between(self, first: int, end: int) -> "np.ndarray":
        return self._counts[max(first - self._base, 0) : max(end - self._base, 0)]

    def _make_room(self, first: int, end: int) -> None:
        import numpy as np

        if not len(self._counts):
            self._base = first
        before = self._base - first
        if before > 0:
            before = min(before + SPARE, self._base)
            self._counts = np.concatenate((np.zeros(before, np.uint8), self._counts))
            self._base -= before
        beyond = end - self._base - len(self._counts)
        if beyond > 0:
            self._counts = np.concatenate((self._counts, np.zeros(beyond + SPARE, np.uint8)))
