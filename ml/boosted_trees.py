"""The trees: shallow XGBoost, monotone in every pace, kept as XGBoost's own portable bytes (UBJSON)."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ml.design_matrix import BOOSTED
from ml.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray


@dataclass(frozen=True)
class BoostedTrees:
    """A trained booster. Columns of a matrix: those of `BOOSTED`, in its order."""

    ubj: bytes

    @cached_property
    def _booster(self) -> Any:
        import xgboost

        booster = xgboost.Booster(params={"nthread": 1})
        booster.load_model(bytearray(self.ubj))
        return booster

    def margins(self, matrix: "NDArray[float64]") -> "NDArray[float64]":
        """Return log-odds by row."""
        import numpy as np

        return np.asarray(self._booster.predict(_data(matrix), output_margin=True), dtype=np.float64)

    def contributions(self, matrix: "NDArray[float64]") -> "NDArray[float64]":
        """Return SHAP values by row: one column per feature and the expected log-odds last; their sum is the margin."""
        import numpy as np

        return np.asarray(self._booster.predict(_data(matrix), pred_contribs=True), dtype=np.float64)


def fit_boosted(
    matrix: "NDArray[float64]", labels: "NDArray[float64]", hyperparameters: Hyperparameters
) -> BoostedTrees:
    """Train on rows and their labels (0.0 or 1.0); the same input gives the same bytes."""
    import xgboost

    parameters = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": hyperparameters.depth,
        "eta": hyperparameters.learning_rate,
        "reg_lambda": hyperparameters.reg_lambda,
        "min_child_weight": hyperparameters.min_child_weight,
        "subsample": hyperparameters.subsample,
        "colsample_bytree": hyperparameters.colsample,
        "monotone_constraints": tuple(BOOSTED.values()),
        "seed": hyperparameters.seed,
        "nthread": 1,  # sums in one order: the same bytes on every machine
    }
    booster = xgboost.train(parameters, _data(matrix, labels), hyperparameters.rounds)
    return BoostedTrees(bytes(booster.save_raw("ubj")))


def _data(matrix: "NDArray[float64]", labels: "NDArray[float64] | None" = None) -> Any:
    import xgboost

    return xgboost.DMatrix(matrix, label=labels, feature_names=list(BOOSTED), nthread=1)
