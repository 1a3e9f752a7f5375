"""Forecast each cycle of a history from the second on, by all forecasters, trained on what had closed before it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from forecast_benchmark.forecasters import FORECASTERS, Forecasts
from ml.evaluation import base_rate
from ml.feature_rows import Rows
from ml.fit_model import InsufficientData
from ml.train_test_split import Period, closed_periods, periods_of, split_at

SCORED_LAST = 2  # the number of cycles in the first table


@dataclass(frozen=True)
class ForecastCycle:
    """The check-ins of one cycle that have a feature row, and their forecasts by forecaster.

    `base_rate` is the share of achieved key results in earlier cycles.
    """

    period: Period
    is_closed: bool
    check_ins: Rows
    forecasts: Mapping[str, Forecasts]
    base_rate: float


def forecast_cycles(history: Rows) -> Iterator[ForecastCycle]:
    """Yield the forecasts of each cycle from the second on, oldest first. The last cycles can still be running.

    Raises:
        InsufficientData: there are fewer than two cycles.
    """
    periods = sorted(set(periods_of(history)))
    if len(periods) < 2:
        raise InsufficientData(
            "A benchmark needs at least two cycles with check-ins, one to train on and one to forecast; found "
            f"{len(periods)}."
        )
    closed = set(closed_periods(history))
    for period in periods[1:]:
        split = split_at(history, period)
        train, test = history.take(split.train), history.take(split.test)
        forecasts = {name: forecast(train, test) for name, forecast in FORECASTERS.items()} if len(test) else {}
        yield ForecastCycle(period, period in closed, test, forecasts, base_rate(train))


def last_closed(cycles: Sequence[ForecastCycle]) -> list[ForecastCycle]:
    """Return the last two closed cycles."""
    return [cycle for cycle in cycles if cycle.is_closed][-SCORED_LAST:]
