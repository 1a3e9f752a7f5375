"""The lines of a folder's forecast file, one for each check-in to forecast, even if it has no feature row."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from infra.forecast_benchmark.cycles import ForecastCycle
from infra.forecast_benchmark.forecasters import MODEL
from ingestion.sources.okr_files import History
from lakehouse.contracts.cycle import DAYS_TO_CLOSE
from ml.forecast_csv import Line, line_of
from ml.train_test_split import Period

CheckIn = tuple[str, datetime]  # key result and time


def lines_of(history: History, cycles: Sequence[ForecastCycle]) -> list[Line]:
    """Return the model's forecasts of the check-ins of these cycles, ordered by key result and time.

    A check-in without a feature row, such as one made after the final value, gets the base rate and the interval 0..1.
    """
    known = model_lines(cycles)
    due = due_check_ins(history, cycles)
    return [known.get(check_in) or line_of(*check_in, due[check_in].base_rate, 0.0, 1.0) for check_in in sorted(due)]


def model_lines(cycles: Iterable[ForecastCycle]) -> dict[CheckIn, Line]:
    """Return the model's forecast of each check-in that has a feature row."""
    lines: dict[CheckIn, Line] = {}
    for cycle in cycles:
        if cycle.forecasts:
            rows, model = cycle.check_ins, cycle.forecasts[MODEL]
            columns = rows["key_result"], rows["as_of"], model.probability, model.low, model.high
            lines |= {(values[0], values[1]): line_of(*values) for values in zip(*columns, strict=True)}
    return lines


def due_check_ins(history: History, cycles: Iterable[ForecastCycle]) -> dict[CheckIn, ForecastCycle]:
    """Return the check-ins to forecast: all but the final values. In closed cycles, only of key results with one."""
    by_period = {cycle.period: cycle for cycle in cycles}
    periods: dict[str, list[Period]] = {}
    for row in history.key_results.values():
        periods.setdefault(row.key_result_id, []).append(Period(row.cycle_start, row.cycle_end))
    placed = [
        (key, row.is_final, _period_of(periods[key[0]], key[1], is_final=row.is_final))
        for key, row in history.check_ins.items()
    ]
    final = {(key[0], period) for key, is_final, period in placed if is_final}
    due = ((key, period, by_period.get(period)) for key, is_final, period in placed if not is_final)
    return {
        key: cycle
        for key, period, cycle in due
        if cycle is not None and (not cycle.is_closed or (key[0], period) in final)
    }


def _period_of(periods: Iterable[Period], at: datetime, *, is_final: bool) -> Period:
    """Return the first cycle of a key result in which a check-in may have this date, as the import does."""
    grace = timedelta(days=DAYS_TO_CLOSE if is_final else 0)
    return next(each for each in sorted(periods) if each.start <= at.date() <= each.end + grace)
