"""Tables over all outcomes of a few splits of a tree: the value of the leaf that is reached, and contributions.

The contributions are the SHAP values of path-dependent TreeSHAP (Lundberg et al., 2020, https://doi.org/10.1038/s42256-
019-0138-9, algorithm 1), which is what `pred_contribs` of XGBoost computes. They are sums over leaves, and what a leaf
contributes depends only on the outcomes of the splits on its path, so all results can be computed in advance.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.booster_trees import NotCompilable, Tree

if TYPE_CHECKING:
    from numpy import bool_, float32, float64
    from numpy.typing import NDArray

SPLITS = 8
PATTERNS = 1 << SPLITS

Path = tuple[tuple[int, bool], ...]  # the splits above a leaf, from the root, and whether the leaf is to their left


@dataclass(frozen=True)
class Group:
    """Leaves of a tree whose paths together have at most SPLITS splits. `nodes` are these splits.

    An outcome of the splits is a number whose bit `i` says whether a row goes left at `nodes[i]`.
    """

    tree: Tree
    nodes: Sequence[int]
    leaves: Sequence[tuple[int, Path]]


def groups_of(tree: Tree) -> list[Group]:
    """Return the groups of a tree. Trees of depth 3 have one; each leaf belongs to exactly one group.

    Raises:
        NotCompilable: a path is longer than SPLITS.
    """
    groups: list[Group] = []
    nodes: list[int] = []
    leaves: list[tuple[int, Path]] = []
    for leaf, path in _leaves(tree, 0, ()):
        if len(path) > SPLITS:
            raise NotCompilable(f"A tree is deeper than {SPLITS}.")
        added = [node for node, _ in path if node not in nodes]
        if len(nodes) + len(added) > SPLITS:
            groups.append(Group(tree, nodes, leaves))
            nodes, leaves, added = [], [], [node for node, _ in path]
        nodes = nodes + added
        leaves.append((leaf, path))
    groups.append(Group(tree, nodes, leaves))
    return groups


def values_table(groups: Sequence[Group]) -> "NDArray[float32]":
    """Return the leaf values, PATTERNS per group: the value of the leaf that is reached, or -0.0 if none of them is.

    Adding -0.0 never changes a sum, but adding 0.0 changes -0.0.
    """
    import numpy as np

    table = np.full((len(groups), PATTERNS), -0.0, np.float32)
    for row, group in zip(table, groups, strict=True):
        for leaf, path in group.leaves:
            is_reached = np.logical_and.reduce([_follows(group, *step) for step in path], axis=0)
            row[np.broadcast_to(is_reached, PATTERNS)] = group.tree.threshold[leaf]
    return table.reshape(-1)


def effects_table(groups: Sequence[Group], features: int) -> "NDArray[float64]":
    """Return the contributions of the leaves of each group to the margin, PATTERNS rows per group, by feature.

    Raises:
        NotCompilable: no training row reached a split, so shares of its rows are undefined.
    """
    import numpy as np

    table = np.zeros((len(groups), PATTERNS, features))
    for rows, group in zip(table, groups, strict=True):
        for leaf, path in group.leaves:
            for feature, effect in _effects(group, path):
                rows[:, feature] += group.tree.threshold[leaf] * effect
    return table.reshape(-1, features)


def _effects(group: Group, path: Path) -> "Iterator[tuple[int, NDArray[float64]]]":
    """Yield the features on a leaf's path, with the share of the leaf's value that each contributes, by outcome.

    A feature has a `one` and a `zero` fraction: whether the row takes the path at all its splits by the feature, and
    the share of the training rows that do. The sum over all subsets of the other features is a polynomial.
    """
    import numpy as np

    ones: dict[int, NDArray[float64]] = {}
    zeros: dict[int, float] = {}
    tree = group.tree
    for node, is_left in path:
        if not tree.cover[node] > 0.0:
            raise NotCompilable("No training row reached a split.")
        feature, child = tree.feature[node], tree.left[node] if is_left else tree.right[node]
        ones[feature] = ones.get(feature, np.ones(PATTERNS)) * _follows(group, node, is_left)
        zeros[feature] = zeros.get(feature, 1.0) * tree.cover[child] / tree.cover[node]
    for feature, one in ones.items():
        others = [each for each in ones if each != feature]
        # terms[k] adds up, over all subsets of the others with k features, the products of ones and zeros.
        terms: list[NDArray[float64]] = [np.ones(PATTERNS)]
        for each in others:
            without, with_it = [term * zeros[each] for term in terms], [term * ones[each] for term in terms]
            terms = [_sum(without, with_it, size) for size in range(len(terms) + 1)]
        weighted = [_weight(size, len(ones)) * term for size, term in enumerate(terms)]
        yield feature, np.sum(weighted, axis=0) * (one - zeros[feature])


def _sum(without: "list[NDArray[float64]]", with_it: "list[NDArray[float64]]", size: int) -> "NDArray[float64]":
    """Return the coefficient of a product of (zero + one * t) and a polynomial in t."""
    if size == 0:
        return without[0]
    return with_it[size - 1] if size == len(without) else without[size] + with_it[size - 1]


def _weight(size: int, features: int) -> float:
    """Return Shapley's weight of a subset."""
    return math.factorial(size) * math.factorial(features - size - 1) / math.factorial(features)


def _follows(group: Group, node: int, is_left: bool) -> "NDArray[bool_]":
    """Return for each outcome whether a row takes this side of a split."""
    import numpy as np

    goes_left = (np.arange(PATTERNS) >> group.nodes.index(node) & 1).astype(bool)
    return goes_left if is_left else ~goes_left


def _leaves(tree: Tree, node: int, path: Path) -> Iterator[tuple[int, Path]]:
    if tree.is_leaf(node):
        yield node, path
        return
    yield from _leaves(tree, tree.left[node], (*path, (node, True)))
    yield from _leaves(tree, tree.right[node], (*path, (node, False)))
