"""The distribution of a version's training data and their probabilities, stored with the version to detect drift.

Current key results are all at about the same stage of their cycle, and most features depend on the stage. Therefore the
training rows are counted by stage, and current rows are compared with training rows of the same stages. The measure is
the population stability index, PSI: the sum of (a - e) ln(a / e) over bins with the actual share a and the expected
share e. Shares of n rows differ by chance alone, which adds about (bins - 1) / n.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.feature_mart import REQUIRED_FEATURES
from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

FILE = "reference_distribution.json"
PROBABILITY = "probability"
STAGE = "elapsed_ratio"
STAGES = 5
BINS = 10
# All features except those that only state how much time has passed.
COMPARED = tuple(name for name in REQUIRED_FEATURES if name not in {STAGE, "remaining_ratio", "days_remaining"})
SMOOTHING = 0.5  # added to each count, because the logarithm of an empty bin is infinite


@dataclass(frozen=True)
class ReferenceDistribution:
    """The inner bounds of each column's bins, and the number of training rows by column, stage and bin.

    The last bin contains the missing values.
    """

    bounds: Mapping[str, Sequence[float]]
    counts: Mapping[str, Sequence[Sequence[int]]]

    def drift(self, rows: Sequence[Mapping[str, Any]], probabilities: Sequence[float]) -> dict[str, float]:
        """Return the PSI of each feature, and of the probability, for rows of current key results."""
        stages = [_stage(row[STAGE]) for row in rows]
        columns = {name: [row[name] for row in rows] for name in COMPARED} | {PROBABILITY: list(probabilities)}
        return {name: self._psi(name, values, stages) for name, values in columns.items() if name in self.bounds}

    def _psi(self, name: str, values: Sequence[float | None], stages: Sequence[int]) -> float:
        bounds, by_stage = self.bounds[name], self.counts[name]
        actual = [0] * len(by_stage[0])
        for value in values:
            actual[_bin(bounds, value)] += 1
        expected = [0.0] * len(actual)
        for stage in stages:
            for number, share in enumerate(_shares(by_stage[stage])):
                expected[number] += share / len(stages)
        return sum((a - e) * math.log(a / e) for a, e in zip(_shares(actual), expected, strict=True))

    def write(self, folder: Path) -> None:
        """Write the distribution to a folder."""
        (folder / FILE).write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")


def read_reference(folder: Path) -> ReferenceDistribution | None:
    """Return the distribution of a version's folder. Versions from earlier releases have none."""
    try:
        return ReferenceDistribution(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def reference_of(rows: Rows, probabilities: "NDArray[float64]") -> ReferenceDistribution:
    """Return the distribution of training rows and of the probabilities that the model gives them."""
    import numpy as np

    stages = [_stage(value) for value in rows.numbers(STAGE)]
    columns = {name: rows.numbers(name) for name in COMPARED} | {PROBABILITY: probabilities}
    bounds, counts = {}, {}
    for name, values in columns.items():
        known = values[~np.isnan(values)]
        if not len(known):
            continue
        bounds[name] = sorted({float(each) for each in np.quantile(known, np.arange(1, BINS) / BINS)})
        counts[name] = [[0] * (len(bounds[name]) + 2) for _ in range(STAGES)]
        for stage, value in zip(stages, values, strict=True):
            counts[name][stage][_bin(bounds[name], value)] += 1
    return ReferenceDistribution(bounds, counts)


def _stage(elapsed_ratio: float) -> int:
    return min(max(int(elapsed_ratio * STAGES), 0), STAGES - 1)


def _bin(bounds: Sequence[float], value: float | None) -> int:
    return len(bounds) + 1 if value is None or math.isnan(value) else bisect_right(bounds, value)


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) + SMOOTHING * len(counts)
    return [(count + SMOOTHING) / total for count in counts]
