"""The model and its reference forecasts. Each forecasts check-ins (`test`), learning from earlier cycles (`train`)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.forecast_benchmark.random_walk import fit_random_walk
from ml.evaluation import base_rate
from ml.feature_mart import PACE_RATIOS
from ml.feature_rows import Rows
from ml.fit_model import InsufficientData, fit
from ml.hyperparameters import Hyperparameters
from ml.pacing_rule import pacing_probability
from ml.prior_forecast import prior_intervals, prior_probabilities

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

MODEL = "model"


@dataclass(frozen=True)
class Forecasts:
    """One forecast per check-in. A forecaster without intervals has the interval from 0 to 1 for each check-in.

    `is_trained` says whether there was enough data to train the model.
    """

    probability: "NDArray[float64]"
    low: "NDArray[float64]"
    high: "NDArray[float64]"
    has_intervals: bool = True
    is_trained: bool = True


Forecaster = Callable[[Rows, Rows], Forecasts]


def model(train: Rows, test: Rows) -> Forecasts:
    """Forecast as in production: by a trained model or, as long as none can be trained, by the prior."""
    try:
        fitted = fit(train, Hyperparameters())
    except InsufficientData:
        return replace(prior(train, test), is_trained=False)
    return Forecasts(fitted.probabilities(test), *fitted.intervals(test))


def prior(_: Rows, test: Rows) -> Forecasts:
    """Forecast by the shipped prior alone, as if no cycle had closed."""
    return Forecasts(prior_probabilities(test), *prior_intervals(test))


def pacing_rule(_: Rows, test: Rows) -> Forecasts:
    """Forecast 1 if progress is at least 0.7 of the elapsed share of the cycle, else 0."""
    return _without_intervals(pacing_probability(test))


def base_rate_of_past(train: Rows, test: Rows) -> Forecasts:
    """Forecast the share of earlier key results that were achieved."""
    import numpy as np

    return _without_intervals(np.full(len(test), base_rate(train)))


def random_walk(train: Rows, test: Rows) -> Forecasts:
    """Forecast a random walk with drift (see `forecast_benchmark.random_walk`)."""
    walk = fit_random_walk(train)
    return Forecasts(walk.probabilities(test), *walk.intervals(test))


def logistic_regression(train: Rows, test: Rows) -> Forecasts:
    """Forecast by a logistic regression of a check-in's five log pace ratios, with scikit-learn's default penalty."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    check_ins = train.take(train["as_of_kind"] == "check_in")
    if len(set(check_ins["is_achieved"])) < 2:
        return base_rate_of_past(train, test)
    fitted = LogisticRegression(max_iter=1_000).fit(_paces(check_ins), check_ins.outcomes())
    return _without_intervals(np.asarray(fitted.predict_proba(_paces(test))[:, 1], dtype=np.float64))


FORECASTERS: dict[str, Forecaster] = {
    MODEL: model,
    "prior": prior,
    "pacing rule": pacing_rule,
    "base rate": base_rate_of_past,
    "random walk": random_walk,
    "logistic regression": logistic_regression,
}


def _paces(rows: Rows) -> "NDArray[float64]":
    import numpy as np

    return np.column_stack([rows.numbers(name) for name in PACE_RATIOS])


def _without_intervals(probability: "NDArray[float64]") -> Forecasts:
    import numpy as np

    return Forecasts(probability, np.zeros(len(probability)), np.ones(len(probability)), has_intervals=False)
