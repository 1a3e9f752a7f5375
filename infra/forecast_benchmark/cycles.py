"""Forecast each cycle of a history from the second on, by all forecasters, trained on what had closed before it."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from infra.forecast_benchmark.forecasters import FORECASTERS, Forecasts
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


def forecast_cycles(history: Rows, processes: Executor) -> list[ForecastCycle]:
    """Return the forecasts of each cycle from the second on, oldest first. The last cycles can still be running.

    Raises:
        InsufficientData: there are fewer than two cycles.
    """
    periods = sorted(set(periods_of(history)))
    if len(periods) < 2:
        raise InsufficientData(
            "A benchmark needs at least two cycles with check-ins, one to train on and one to forecast; found "
            f"{len(periods)}."
        )
    splits = [split_at(history, period) for period in periods[1:]]
    train = [history.take(split.train) for split in splits]
    test = [history.take(split.test) for split in splits]
    closed = set(closed_periods(history))
    return [
        ForecastCycle(split.period, split.period in closed, check_ins, forecasts, base_rate(earlier))
        for split, earlier, check_ins, forecasts in zip(
            splits, train, test, processes.map(_forecasts, train, test), strict=True
        )
    ]


@contextmanager
def forecasting_processes() -> Iterator[Executor]:
    """Start a process per core. Each forecasts one cycle at a time, because a model is trained by one thread."""
    context = multiprocessing.get_context("spawn")
    # Ctrl-C interrupts only the main process, which then stops the others.
    with ProcessPoolExecutor(
        os.cpu_count(), mp_context=context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    ) as processes:
        yield processes


def _forecasts(train: Rows, test: Rows) -> dict[str, Forecasts]:
    return {name: forecast(train, test) for name, forecast in FORECASTERS.items()} if len(test) else {}


def last_closed(cycles: Sequence[ForecastCycle]) -> list[ForecastCycle]:
    """Return the last two closed cycles."""
    return [cycle for cycle in cycles if cycle.is_closed][-SCORED_LAST:]
