from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from ml.feature_rows import Rows
from ml.train_test_split import (
    Period,
    closed_periods,
    evaluable_periods,
    everything_closed,
    labelled,
    periods_of,
    split_at,
    tuning_period,
)


def test_closed_periods_leave_out_the_running_one(history: Rows) -> None:
    periods = closed_periods(history)
    assert [period.start for period in periods] == [
        date(2024, 10, 1), date(2025, 1, 1), date(2025, 4, 1), date(2025, 7, 1), date(2025, 10, 1)
    ]  # fmt: skip
    assert date(2026, 1, 1) in {period.start for period in periods_of(history)}


def test_a_split_trains_only_on_outcomes_known_before_its_first_forecast(history: Rows) -> None:
    for period in closed_periods(history)[1:]:
        split = split_at(history, period)
        first = min(history["known_at"][split.test])
        assert max(history["outcome_known_at"][split.train]) <= first
        assert max(history["period_end"][split.train]) <= period.start
        assert not (split.train & split.test).any()
        assert set(history["as_of_kind"][split.test]) == {"check_in"}


def test_an_outcome_recorded_after_the_first_forecast_is_not_learned_from(history: Rows) -> None:
    period = closed_periods(history)[-1]
    before = split_at(history, period)
    late = history["key_result"][before.train][0]
    is_late = history["key_result"] == late
    known_at = history["outcome_known_at"].copy()
    known_at[is_late] = min(history["known_at"][before.test]) + timedelta(seconds=1)
    after = split_at(Rows({**history.columns, "outcome_known_at": known_at}), period)
    assert not after.train[is_late].any()
    assert (after.train | is_late == before.train | is_late).all()


def test_key_results_that_close_early_do_not_close_a_running_cycle() -> None:
    days = (date(2026, 1, 1), date(2026, 3, 31))
    early, still_open = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
    rows = Rows(
        {
            "period_start": np.array([days[0]] * 2, dtype=object),
            "period_end": np.array([days[1]] * 2, dtype=object),
            "known_at": np.array([early, still_open], dtype=object),
            "outcome_known_at": np.array([early, None], dtype=object),
            "is_achieved": np.array([True, None], dtype=object),
        }
    )
    assert closed_periods(rows) == []
    over = Rows({**rows.columns, "known_at": np.array([early, datetime(2026, 4, 1, tzinfo=UTC)], dtype=object)})
    assert closed_periods(over) == [Period(*days)]


def test_a_served_model_learns_from_every_closed_period(history: Rows) -> None:
    rows = history.take(everything_closed(history))
    assert set(periods_of(rows)) == set(closed_periods(history))
    assert labelled(rows).all()


def one_more_cycle(history: Rows, days: tuple[date, date], moment: datetime, key_results: int) -> Rows:
    """The history plus a cycle whose `key_results` key results checked in at a moment and closed a day later."""
    rows = min(key_results, len(history))
    few = history.take(np.arange(len(history)) < rows)
    added = {
        **few.columns,
        "key_result": np.array([f"new-{number}" for number in range(rows)], dtype=object),
        "period_start": np.array([days[0]] * rows, dtype=object),
        "period_end": np.array([days[1]] * rows, dtype=object),
        "known_at": np.array([moment] * rows, dtype=object),
        "outcome_known_at": np.array([moment + timedelta(days=1)] * rows, dtype=object),
        "is_achieved": np.array([True] * rows, dtype=object),
        "as_of_kind": np.array(["check_in"] * rows, dtype=object),
    }
    return Rows({name: np.concatenate([column, added[name]]) for name, column in history.columns.items()})


def test_a_cycle_that_has_not_started_is_not_closed_even_if_its_key_results_are(history: Rows) -> None:
    moment = max(history["known_at"])
    days = (moment.date() + timedelta(days=30), moment.date() + timedelta(days=120))
    assert closed_periods(one_more_cycle(history, days, moment, 1)) == closed_periods(history)


def test_a_tiny_cycle_is_not_the_one_to_evaluate_on(history: Rows) -> None:
    before = evaluable_periods(history)
    assert before == closed_periods(history)
    moment = max(history["known_at"])
    days = (moment.date() - timedelta(days=1), moment.date() + timedelta(days=1))
    tiny = one_more_cycle(history, days, moment, 19)
    assert closed_periods(tiny)[-1] == Period(*days)
    assert evaluable_periods(tiny) == before
    assert evaluable_periods(one_more_cycle(history, days, moment, 20))[-1] == Period(*days)


def of_sizes(*sizes: int) -> Rows:
    """A history of quarters from 2024 on, each with as many key results as named, checked in once and closed."""
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for quarter, size in enumerate(sizes):
        start = date(2024 + quarter // 4, 1 + quarter % 4 * 3, 1)
        end = start + timedelta(days=80)
        for number in range(size):
            moment = datetime(start.year, start.month, 10, tzinfo=UTC)
            row = (f"{quarter}-{number}", start, end, moment, moment + timedelta(days=80), True, "check_in")
            for name, value in zip(COLUMNS, row, strict=True):
                columns[name].append(value)
    return Rows({name: np.array(values, dtype=object) for name, values in columns.items()})


COLUMNS = ("key_result", "period_start", "period_end", "known_at", "outcome_known_at", "is_achieved", "as_of_kind")


@pytest.mark.parametrize(
    ("sizes", "held_out", "tuned_on"),
    [
        ((25, 15, 15), 2, None),
        ((25, 22, 18, 18), 1, None),
        ((25, 22, 18, 18, 18), 4, 1),
        ((12, 9), 1, None),
        ((9,), 0, None),
        ((30, 30, 3, 30), 3, 1),
        ((30, 30, 30, 3), 2, 1),
    ],
)
def test_the_cycle_to_evaluate_on_is_large_recent_and_never_the_only_one_to_learn_from(
    sizes: tuple[int, ...], held_out: int, tuned_on: int | None
) -> None:
    history = of_sizes(*sizes)
    periods, found = closed_periods(history), evaluable_periods(history)
    assert found == periods[: held_out + 1]
    assert tuning_period(history) == (None if tuned_on is None else periods[tuned_on])
