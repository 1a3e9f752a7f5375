"""Train shallow XGBoost trees that are monotone in every pace ratio. They are stored in XGBoost's UBJSON format."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ml.booster_trees import read_trees
from ml.compiled_trees import CompiledTrees
from ml.design_matrix import BOOSTED
from ml.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray


@dataclass(frozen=True)
class BoostedTrees:
    """A trained booster. Its input matrices have the columns of `BOOSTED`, in that order."""

    ubj: bytes

    @cached_property
    def _booster(self) -> Any:
        import xgboost

        booster = xgboost.Booster(params={"nthread": 1})
        booster.load_model(bytearray(self.ubj))
        return booster

    def margins(self, matrix: "NDArray[float64]") -> "NDArray[float64]":
        """Return the log-odds of each row."""
        import numpy as np

        margins = self._booster.inplace_predict(matrix, predict_type="margin", validate_features=False)
        return np.asarray(margins, dtype=np.float64)

    def contributions(self, matrix: "NDArray[float64]") -> "NDArray[float64]":
        """Return a column of SHAP values per feature, then the expected log-odds. Each row sums to its log-odds."""
        import numpy as np

        return np.asarray(self._booster.predict(_data(matrix), pred_contribs=True), dtype=np.float64)

    def compiled(self) -> CompiledTrees:
        """Return the trees in a form that predicts quickly for single rows.

        Raises:
            NotCompilable: the trees cannot be compiled, so only XGBoost can predict with them.
        """
        return CompiledTrees(read_trees(bytes(self._booster.save_raw("json"))))


def fit_boosted(
    matrix: "NDArray[float64]", labels: "NDArray[float64]", hyperparameters: Hyperparameters
) -> BoostedTrees:
    """Train on a matrix and its row labels (0.0 or 1.0). The same input always produces the same bytes."""
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
        "nthread": 1,  # one thread sums in a fixed order, so every machine produces the same bytes
    }
    booster = xgboost.train(parameters, _data(matrix, labels), hyperparameters.rounds)
    return BoostedTrees(bytes(booster.save_raw("ubj")))


def _data(matrix: "NDArray[float64]", labels: "NDArray[float64] | None" = None) -> Any:
    import xgboost

    return xgboost.DMatrix(matrix, label=labels, feature_names=list(BOOSTED), nthread=1)
