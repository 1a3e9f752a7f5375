"""Fit a forecast model to labelled rows. All functions are pure and perform no I/O."""

from collections.abc import Iterator

from lakehouse.errors import TOO_LITTLE_DATA, PermanentError
from ml.blend import PastCycle, blend_weight, blended
from ml.boosted_trees import BoostedTrees, fit_boosted
from ml.design_matrix import BOOSTED, boosted_matrix, logistic_matrix
from ml.feature_rows import Rows
from ml.forecast_model import ForecastModel, pace_margins
from ml.hyperparameters import Hyperparameters
from ml.logistic_regression import LogisticModel, fit_logistic
from ml.no_check_in_forecast import fit_no_check_in_forecast
from ml.noise_regression import fit_noise_regression
from ml.owner_confidence import fit_owner_weight
from ml.score_interval import fit_scale_factor
from ml.threshold_augmentation import augment
from ml.train_test_split import periods_of, split_at

MIN_KEY_RESULTS = 20
WEIGHED_PERIODS = 8  # the newest ones; for each of them, the pace model is fitted again


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
    trees, logistic = fit_paces(check_ins, hyperparameters)
    noise, past = fit_noise_regression(check_ins), list(_past_cycles(check_ins, hyperparameters))
    weight = blend_weight(past)
    margins = blended(pace_margins(trees, logistic, check_ins), noise.margins(check_ins), weight)
    return ForecastModel(
        trees=trees,
        logistic=logistic,
        noise=noise,
        weight=weight,
        scale_factor=fit_scale_factor(
            (blended(cycle.paces, cycle.noise, weight), cycle.scale, cycle.final_scores) for cycle in past
        ),
        owner=fit_owner_weight(check_ins, margins),
        no_check_in=fit_no_check_in_forecast(rows.take(rows["as_of_kind"] != "current")),
        trained_until=str(np.max(check_ins["period_end"])),
        outcomes_known_until=max(rows["outcome_known_at"]).isoformat(),
    )


def fit_paces(check_ins: Rows, hyperparameters: Hyperparameters) -> tuple[BoostedTrees, LogisticModel]:
    """Fit the two parts of the pace model to labelled check-ins."""
    augmented = augment(check_ins, hyperparameters.thresholds, hyperparameters.span)
    features = Rows({name: check_ins.numbers(name) for name in BOOSTED}).take(augmented.row)
    trees = fit_boosted(boosted_matrix(features, augmented.shift), augmented.label, hyperparameters)
    return trees, fit_logistic(logistic_matrix(features, augmented.shift), augmented.label, hyperparameters)


def _past_cycles(check_ins: Rows, hyperparameters: Hyperparameters) -> Iterator[PastCycle]:
    """Yield forecasts of the newest periods, each by members that were fitted to what had closed before it.

    Periods with too little training data before them are omitted.
    """
    for period in sorted(set(periods_of(check_ins)))[-WEIGHED_PERIODS:]:
        split = split_at(check_ins, period)
        train, test = check_ins.take(split.train), check_ins.take(split.test)
        try:
            check_outcomes(train)
        except InsufficientData:
            continue
        paces, noise = pace_margins(*fit_paces(train, hyperparameters), test), fit_noise_regression(train)
        scale, scores = noise.scale(test.numbers("noise_ratio")), test.numbers("final_score")
        yield PastCycle(paces, noise.margins(test), test.outcomes(), scale, scores)


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
            f"{len(outcomes)}. The prior serves forecasts until more have closed."
        )
    if achieved in (0, len(outcomes)):
        raise InsufficientData(
            f"All {len(outcomes)} closed key results have the same outcome ({'none' if achieved == 0 else 'all'} "
            "achieved), so no model can be trained. The prior serves forecasts until both outcomes exist."
        )
