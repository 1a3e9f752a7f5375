"""Read the trees of a trained XGBoost model: splits, default directions, categories, leaf values and covers."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import PermanentError

LARGEST_CATEGORY = 2**24  # XGBoost does not treat larger numbers as categories, and goes left
ONE_LEAF_VALUE = 1


class NotCompilable(PermanentError):
    """The trees cannot be compiled, so only XGBoost can predict with them."""


@dataclass(frozen=True)
class Tree:
    """A tree by node number; node 0 is the root. A leaf has the child -1.

    A row goes left if its feature is below the threshold or, for a split by category, if its category is not in
    `categories`. `cover` is the weight of the training rows that reached a node.
    """

    left: Sequence[int]
    right: Sequence[int]
    feature: Sequence[int]
    threshold: Sequence[float]
    goes_left_if_missing: Sequence[bool]
    cover: Sequence[float]
    categories: Mapping[int, frozenset[int]]

    def is_leaf(self, node: int) -> bool:
        """Return whether a node is a leaf. Its value is in `threshold`."""
        return self.left[node] < 0


@dataclass(frozen=True)
class Trees:
    """The trees of a booster, and the margin that their leaf values are added to."""

    base: float
    features: int
    trees: Sequence[Tree]


def read_trees(saved: bytes) -> Trees:
    """Read a model that XGBoost saved as JSON.

    Raises:
        NotCompilable: it is not a booster of trees with one margin per row.
    """
    learner: Mapping[str, Any] = json.loads(saved)["learner"]
    booster, parameters = learner["gradient_booster"], learner["learner_model_param"]
    model = booster.get("model", {})
    base_scores = json.loads(parameters["base_score"])
    if booster["name"] != "gbtree" or set(model["tree_info"]) - {0} or len(base_scores) != 1:
        raise NotCompilable(f"Only boosted trees with one margin per row are compiled, not {booster['name']}.")
    if any(model.get("cats", {}).values()):
        raise NotCompilable("Only numbered categories are compiled, not names of categories.")
    base = _margin(base_scores[0], learner["objective"]["name"])
    return Trees(base, int(parameters["num_feature"]), [_tree(each) for each in model["trees"]])


def _tree(saved: Mapping[str, Any]) -> Tree:
    if int(saved["tree_param"]["size_leaf_vector"]) > ONE_LEAF_VALUE:
        raise NotCompilable("Only trees with one value per leaf are compiled.")
    starts, sizes = saved["categories_segments"], saved["categories_sizes"]
    categories = {
        node: frozenset(saved["categories"][start : start + size])
        for node, start, size in zip(saved["categories_nodes"], starts, sizes, strict=True)
    }
    return Tree(
        left=saved["left_children"],
        right=saved["right_children"],
        feature=saved["split_indices"],
        threshold=saved["split_conditions"],
        goes_left_if_missing=[bool(each) for each in saved["default_left"]],
        cover=saved["sum_hessian"],
        categories=categories,
    )


def _margin(base_score: float, objective: str) -> float:
    """Return the base score as a margin, in 32 bits like XGBoost."""
    import numpy as np

    if objective == "reg:squarederror":
        return float(np.float32(base_score))
    if not objective.startswith("binary:logi"):  # binary:logistic and binary:logitraw
        raise NotCompilable(f"The objective {objective} is not compiled.")
    odds_against = np.float32(1.0) / np.float32(base_score) - np.float32(1.0)
    return float(np.float32(-math.log(float(odds_against))))
