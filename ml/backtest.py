"""Backtest forecasts. Each cycle is forecast by a model trained only on cycles that had closed by its first day."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lakehouse.errors import PermanentError
from ml.feature_rows import Rows
from ml.fit_model import InsufficientData, fit
from ml.forecast_csv import Line, line_of
from ml.hyperparameters import Hyperparameters
from ml.train_test_split import Period, Split, closed_periods, labelled, periods_of, split_at

if TYPE_CHECKING:
    from numpy import bool_
    from numpy.typing import NDArray


def backtest(history: Rows, hyperparameters: Hyperparameters, cycles: Sequence[str] | None = None) -> Iterator[Line]:
    """Yield one forecast per check-in in the named cycles (by default, in the last two closed periods).

    In closed cycles, only key results with a final value are forecast. In running cycles, all key results are.

    Raises:
        PermanentError: a named cycle has no check-in.
        InsufficientData: fewer than two cycles have closed, or there is too little training data before a cycle.
    """
    closed = set(closed_periods(history))
    for period in _periods(history, sorted(closed), cycles):
        split = split_at(history, period)
        test = history.take(split.test & _to_forecast(history, split, cycles, is_closed=period in closed))
        if not split.train.any():
            raise InsufficientData(
                f"No cycle had closed by the first day of the cycle {period}, so no model can be trained for it. "
                "Name a later cycle with --cycles."
            )
        yield from _forecasts(history.take(split.train), test, hyperparameters)


def _forecasts(train: Rows, test: Rows, hyperparameters: Hyperparameters) -> Iterator[Line]:
    model = fit(train, hyperparameters)
    low, high = model.intervals(test)
    columns = test["key_result"], test["as_of"], model.probabilities(test), low, high
    for values in zip(*columns, strict=True):
        yield line_of(*values)


def _periods(history: Rows, closed: Sequence[Period], cycles: Sequence[str] | None) -> list[Period]:
    if cycles is None:
        if len(closed) < 2:
            raise InsufficientData(
                "A backtest needs at least two closed cycles, one to train on and one to forecast; found "
                f"{len(closed)}. Wait for a cycle to close, or load history (`okr produce files FOLDER`)."
            )
        return list(closed[1:][-2:])
    named = dict(zip(history["cycle_name"], periods_of(history), strict=True))
    unknown = [name for name in cycles if name not in named]
    if unknown:
        known = ", ".join(sorted(name for name in named if name))
        raise PermanentError(
            f"No check-in belongs to the cycle {', '.join(unknown)}. Cycles with check-ins: {known or 'none'}."
        )
    pairs = zip(history["cycle_name"], periods_of(history), strict=True)
    return sorted({period for name, period in pairs if name in cycles})


def _to_forecast(history: Rows, split: Split, cycles: Sequence[str] | None, *, is_closed: bool) -> "NDArray[bool_]":
    import numpy as np

    selected = np.ones(len(history), dtype=bool)
    if cycles is not None:
        selected &= np.isin(history["cycle_name"].astype(str), list(cycles))
    if is_closed:
        selected &= labelled(history)
    return selected
