"""Choose the pace model's hyperparameters on a cycle before the held-out one, which must not influence the choice."""

from dataclasses import replace

from ml.feature_rows import Rows
from ml.fit_model import InsufficientData, check_outcomes, fit_paces
from ml.forecast_model import pace_margins
from ml.forecast_scores import log_loss
from ml.hyperparameters import Hyperparameters
from ml.train_test_split import labelled, split_at, tuning_period


def candidates(base: Hyperparameters) -> tuple[Hyperparameters, ...]:
    """Return the hyperparameters to compare: the base, and a variant with more but shallower trees."""
    return base, replace(base, depth=2, rounds=200)


def choose_hyperparameters(history: Rows, base: Hyperparameters) -> Hyperparameters:
    """Return the candidate with the lowest log loss on a large cycle before the held-out one.

    Return `base` if there is no such cycle or too little data to train on before it. If candidates tie, the first one
    is chosen, so the same history always produces the same hyperparameters.
    """
    period = tuning_period(history)
    if period is None:
        return base
    split = split_at(history, period)
    train, test = history.take(split.train), history.take(split.test & labelled(history))
    try:
        check_outcomes(train)
    except InsufficientData:
        return base
    check_ins = train.take(train["as_of_kind"] == "check_in")
    losses = [_loss(check_ins, test, hyperparameters) for hyperparameters in candidates(base)]
    return candidates(base)[losses.index(min(losses))]


def _loss(train: Rows, test: Rows, hyperparameters: Hyperparameters) -> float:
    import numpy as np

    margins = pace_margins(*fit_paces(train, hyperparameters), test)
    return log_loss(test.outcomes(), 1.0 / (1.0 + np.exp(-margins)))
