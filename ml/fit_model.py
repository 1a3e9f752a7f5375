"""Fit a forecast model to labelled rows. All functions are pure and perform no I/O."""

from lakehouse.errors import TOO_LITTLE_DATA, PermanentError
from ml.boosted_trees import fit_boosted
from ml.design_matrix import boosted_matrix, logistic_matrix
from ml.feature_mart import REQUIRED_FEATURES
from ml.feature_rows import Rows
from ml.forecast_model import ForecastModel, pace_margins
from ml.hyperparameters import Hyperparameters
from ml.logistic_regression import fit_logistic
from ml.no_check_in_forecast import fit_no_check_in_forecast
from ml.owner_confidence import fit_owner_weight
from ml.score_interval import INTERVAL_LEVEL, fit_bands
from ml.threshold_augmentation import augment

MIN_KEY_RESULTS = 20


class InsufficientData(PermanentError):
    """There is too little data from closed cycles to train or evaluate a model."""

    exit_status = TOO_LITTLE_DATA


def fit(rows: Rows, hyperparameters: Hyperparameters) -> ForecastModel:
    """Fit a model to rows of closed key results, ordered by key result and as_of.

    A key result without check-ins has a single row, in which as_of is null.

    Raises:
        InsufficientData: there are fewer than 20 key results, or all have the same outcome.
    """
    import numpy as np

    check_outcomes(rows)
    check_ins = rows.take(rows["as_of_kind"] == "check_in")
    augmented = augment(check_ins, hyperparameters.thresholds, hyperparameters.span)
    features = Rows({name: check_ins.numbers(name) for name in REQUIRED_FEATURES}).take(augmented.row)
    trees = fit_boosted(boosted_matrix(features, augmented.shift), augmented.label, hyperparameters)
    logistic = fit_logistic(logistic_matrix(features, augmented.shift), augmented.label, hyperparameters)
    return ForecastModel(
        trees=trees,
        logistic=logistic,
        owner=fit_owner_weight(check_ins, pace_margins(trees, logistic, check_ins)),
        bands=fit_bands(check_ins, INTERVAL_LEVEL),
        no_check_in=fit_no_check_in_forecast(rows.take(rows["as_of_kind"] != "current"), INTERVAL_LEVEL),
        trained_until=str(np.max(check_ins["period_end"])),
        outcomes_known_until=max(rows["outcome_known_at"]).isoformat(),
    )


def check_outcomes(rows: Rows) -> None:
    """Check that there are enough rows of closed key results to train on.

    Raises:
        InsufficientData: fewer than 20 key results have check-ins, or all have the same outcome.
    """
    rows = rows.take(rows["as_of_kind"] == "check_in")
    outcomes = dict(zip(rows["key_result_in_cycle"], rows["is_achieved"], strict=True))
    achieved = sum(map(bool, outcomes.values()))
    if len(outcomes) < MIN_KEY_RESULTS:
        raise InsufficientData(
            f"A model needs at least {MIN_KEY_RESULTS} closed key results with check-ins in closed cycles, found "
            f"{len(outcomes)}. The pacing rule serves forecasts until more have closed."
        )
    if achieved in (0, len(outcomes)):
        raise InsufficientData(
            f"All {len(outcomes)} closed key results have the same outcome ({'none' if achieved == 0 else 'all'} "
            "achieved), so no model can be trained. The pacing rule serves forecasts until both outcomes exist."
        )
