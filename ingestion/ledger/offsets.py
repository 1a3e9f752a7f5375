"""Arithmetic of one partition's landed offsets: gaps and repeats. Knows neither Kafka nor a lake."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Gap:
    """Offsets from `start` up to before `end` that are not in the lake."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.start}" if self.end == self.start + 1 else f"{self.start}-{self.end - 1}"


@dataclass(frozen=True)
class Repeat:
    """An offset that is in the lake more than once."""

    offset: int
    times: int


def find_gaps(offsets: "np.ndarray", first: int, end: int) -> list[Gap]:
    """Return what is missing of the offsets from `first` up to before `end`; `offsets` is sorted, repeats allowed."""
    import numpy as np

    fenced = np.concatenate(([first - 1], offsets[(offsets >= first) & (offsets < end)], [end]))
    holes = np.flatnonzero(np.diff(fenced) > 1)
    return [Gap(int(fenced[hole]) + 1, int(fenced[hole + 1])) for hole in holes]


def find_repeats(offsets: "np.ndarray") -> list[Repeat]:
    """Return the offsets that `offsets` holds more than once."""
    import numpy as np

    values, counts = np.unique(offsets, return_counts=True)
    twice = counts > 1
    return [Repeat(int(offset), int(times)) for offset, times in zip(values[twice], counts[twice], strict=True)]
