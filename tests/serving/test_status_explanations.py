"""What is said of a key result that is not forecast, and what is missing to close it."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from serving.status_explanations import missing_to_close, why_no_forecast

ROW: dict[str, Any] = {
    "status": "awaiting_close", "cycle_start": date(2026, 7, 1), "cycle_end": date(2026, 9, 30), "unit": "percent",
    "baseline": 0.0, "target": 99.999, "latest_value": 99.996, "latest_check_in_at": datetime(2026, 9, 28, tzinfo=UTC),
    "final_at": None, "final_score": None,
}  # fmt: skip


def test_what_is_over_says_that_a_closing_check_in_is_missing_and_what_it_has() -> None:
    told = missing_to_close(ROW)
    assert told is not None
    assert "ended on 2026-09-30. A closing check-in is missing" in told
    assert "99.996 of 99.999 percent, of 2026-09-28" in told
    status, detail = why_no_forecast(ROW)
    assert status == "awaiting_close"
    assert detail.startswith(told)


def test_what_was_never_checked_in_says_so() -> None:
    told = missing_to_close({**ROW, "latest_value": None, "latest_check_in_at": None})
    assert told is not None
    assert told.endswith("nobody has ever checked in.")


LEFT = {**ROW, "ended_at": datetime(2026, 10, 1, tzinfo=UTC), "closable_until": date(2026, 10, 7)}
CORRECT = 'correct its latest check-in of that cycle with "is_final": true (PUT /v1/check-ins/{check_in_id})'


@pytest.mark.parametrize("closable_until", [date(2026, 10, 7), None])
def test_what_was_carried_over_is_not_told_to_close_the_cycle_where_it_is_now(closable_until: date | None) -> None:
    """Whoever followed the advice after the last day for it closed the new cycle."""
    told = missing_to_close({**LEFT, "closable_until": closable_until}, datetime(2026, 10, 8, tzinfo=UTC))
    assert told is not None
    assert f"To close it there, {CORRECT}. The latest" in told
    assert "POST" not in told


def test_what_was_carried_over_is_told_the_last_day_on_which_a_check_in_closes_it_there() -> None:
    on_the_last_day = datetime(2026, 10, 7, 23, tzinfo=UTC)
    told = missing_to_close(LEFT, on_the_last_day)
    assert told is not None
    assert f'its final value and "is_final": true until 2026-10-07 (POST /v1/check-ins), or {CORRECT}' in told
    silent = missing_to_close({**LEFT, "latest_value": None}, on_the_last_day)
    assert silent is not None
    assert silent.endswith("until 2026-10-07 (POST /v1/check-ins); nobody has ever checked in.")


def test_what_is_planned_on_into_a_cycle_that_has_not_begun_is_closed_by_a_check_in_of_now() -> None:
    told = missing_to_close(LEFT, datetime(2026, 9, 30, 23, tzinfo=UTC))
    assert told is not None
    assert "A closing check-in is missing" in told


@pytest.mark.parametrize("status", ["on_track", "achieved", "archived", "no_cycle", "not_started", "no_check_in"])
def test_nothing_is_missing_of_what_is_not_over(status: str) -> None:
    assert missing_to_close({**ROW, "status": status}) is None


def test_each_status_has_its_reason() -> None:
    closed = {**ROW, "final_at": datetime(2026, 10, 2, tzinfo=UTC), "final_score": 0.6996, "status": "missed"}
    told = {status: why_no_forecast({**closed, "status": status}) for status in ("missed", "archived", "no_cycle")}
    assert told["missed"] == (
        "closed",
        "It was closed on 2026-10-02 with a final score of 0.6996 (missed): the outcome is known, so it is not "
        "forecast.",
    )
    assert told["archived"][0] == "archived"
    assert why_no_forecast(None)[0] == "unknown"
    assert why_no_forecast({**ROW, "status": "not_started"})[1].startswith("Its cycle starts on 2026-07-01")
