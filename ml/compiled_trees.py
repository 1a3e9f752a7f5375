"""Score and explain single rows with boosted trees in microseconds. The margins are bit-identical to XGBoost's.

XGBoost is built for many rows: a call takes about 130 us even for one row, and 1,600 us with contributions. Here, one
look-up per feature finds the outcomes of all splits on that feature for the row. Each feature has, for each interval
between its thresholds, a number whose bits are the outcomes of these splits. The numbers of all features are combined
by OR. The splits of a tree form groups of at most eight, so each byte of the result is an index into the tables of one
group. These tables contain the value of the leaf that the row reaches, and the contributions of the features
(`tree_tables`).
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ml.booster_trees import LARGEST_CATEGORY, NotCompilable, Tree, Trees
from ml.tree_tables import PATTERNS, Group, effects_table, groups_of, values_table

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

Row = Sequence[float]  # the features in the order of the training matrix, NaN if missing
MAX_GROUPS = 20_000
MAX_EFFECTS_BYTES = 2**26


class _Feature(NamedTuple):
    """For each interval between a feature's boundaries, the bits of its splits that go left.

    A categorical feature has no boundaries, but bits for each category and, at the end, for all other values.
    """

    boundaries: Sequence[float] | None
    goes_left: Sequence[int]
    goes_left_if_missing: int


class CompiledTrees:
    """The tables of a booster. They never change, so threads can share them."""

    def __init__(self, trees: Trees) -> None:
        """Compile trees.

        Raises:
            NotCompilable: the trees are too large, or only XGBoost itself can predict with them.
        """
        import numpy as np

        groups = [group for tree in trees.trees for group in groups_of(tree)]
        if len(groups) > MAX_GROUPS:
            raise NotCompilable(f"The trees have {len(groups)} groups of splits; at most {MAX_GROUPS} are compiled.")
        self.features = trees.features
        self._columns = [_feature(number, groups) for number in range(trees.features)]
        self._bytes = len(groups) + 1
        self._starts: NDArray[int64] = np.arange(self._bytes, dtype=np.int64) * PATTERNS
        # XGBoost's sum starts with the base, so the first table contains only the base.
        self._values = np.concatenate([np.full(PATTERNS, trees.base, np.float32), values_table(groups)])
        self._to_array, self._byte = np.frombuffer, np.uint8
        self._effects: NDArray[float64] | None = None
        if len(groups) * PATTERNS * trees.features * 8 <= MAX_EFFECTS_BYTES:
            no_effects = np.zeros((PATTERNS, trees.features))
            self._effects = np.concatenate([no_effects, effects_table(groups, trees.features)])
        self.expected = trees.base + sum(_expected(tree) for tree in trees.trees)
        """The mean margin of the training rows. The contributions of a row are relative to it."""

    @property
    def explains(self) -> bool:
        """Whether contributions can be computed. The tables of deep trees would be too large."""
        return self._effects is not None

    def boundaries(self, feature: int) -> Sequence[float]:
        """Return the numbers at which a feature's splits change their outcome."""
        return self._columns[feature].boundaries or ()

    def outcomes(self, row: Row) -> "NDArray[int64]":
        """Return the outcomes of all splits for a row, as positions in the tables."""
        bits = 0
        for (boundaries, goes_left, if_missing), value in zip(self._columns, row, strict=True):
            if value != value:  # noqa: PLR0124 -- NaN; math.isnan takes longer
                bits |= if_missing
            elif boundaries is None:
                bits |= goes_left[_category(value, len(goes_left) - 1)]
            else:
                bits |= goes_left[bisect_right(boundaries, value)]
        return self._starts + self._to_array(bits.to_bytes(self._bytes, "little"), self._byte)

    def margin(self, outcomes: "NDArray[int64]") -> float:
        """Return the margin. It is the sum that XGBoost computes, in the same order and in 32 bits."""
        return float(self._values.take(outcomes).cumsum()[-1])

    def contributions(self, outcomes: "NDArray[int64]") -> list[float]:
        """Return the SHAP value of each feature. Together with `expected`, they add up to the margin.

        Raises:
            NotCompilable: the tables would be too large.
        """
        if self._effects is None:
            raise NotCompilable("The contributions of these trees are not compiled.")
        effects: list[float] = self._effects.take(outcomes, axis=0).sum(axis=0).tolist()
        return effects


def _feature(number: int, groups: Sequence[Group]) -> _Feature:
    """Return the bits of one feature's splits."""
    splits = [
        (each, node, 8 * position + bit)
        for position, group in enumerate(groups, start=1)
        for bit, node in enumerate(group.nodes)
        for each in [group.tree]
        if each.feature[node] == number
    ]
    if_missing = sum(1 << at for tree, node, at in splits if tree.goes_left_if_missing[node])
    categorical = [split for split in splits if split[1] in split[0].categories]
    if not categorical:
        return _by_threshold(splits, if_missing)
    if len(categorical) < len(splits):
        raise NotCompilable(f"Feature {number} is split both by thresholds and by categories.")
    largest = max(max(tree.categories[node], default=-1) for tree, node, _ in splits)
    goes_left = [
        sum(1 << at for tree, node, at in splits if category not in tree.categories[node])
        for category in range(largest + 2)
    ]
    return _Feature(None, goes_left, if_missing)


def _by_threshold(splits: Sequence[tuple[Tree, int, int]], if_missing: int) -> _Feature:
    by_boundary: dict[float, int] = {}
    for tree, node, at in splits:
        boundary = _boundary(tree.threshold[node])
        by_boundary[boundary] = by_boundary.get(boundary, 0) | 1 << at
    boundaries = sorted(by_boundary)
    goes_left = [sum(by_boundary.values())]  # below all thresholds, every split goes left
    for boundary in boundaries:
        goes_left.append(goes_left[-1] & ~by_boundary[boundary])
    return _Feature(boundaries, goes_left, if_missing)


def _boundary(threshold: float) -> float:
    """Return the smallest 64-bit float that, rounded to 32 bits, is not below the threshold."""
    import numpy as np

    exact = np.float32(threshold)
    if not np.isfinite(exact):
        raise NotCompilable("A threshold is not a finite number.")
    below = np.nextafter(exact, np.float32(-np.inf))
    if not np.isfinite(below):
        raise NotCompilable("A threshold is the smallest finite number.")
    middle = (float(below) + float(exact)) / 2.0
    return middle if np.float32(middle) >= exact else float(np.nextafter(middle, np.inf))


def _category(value: float, others: int) -> int:
    import numpy as np

    rounded = float(np.float32(value)) if abs(value) < LARGEST_CATEGORY else -1.0
    return min(int(rounded), others) if rounded >= 0.0 else others


def _expected(tree: Tree) -> float:
    """Return the mean of the leaf values, weighted by their covers."""

    def mean(node: int) -> float:
        if tree.is_leaf(node):
            return tree.threshold[node]
        left, right = tree.left[node], tree.right[node]
        return (mean(left) * tree.cover[left] + mean(right) * tree.cover[right]) / tree.cover[node]

    return mean(0)
