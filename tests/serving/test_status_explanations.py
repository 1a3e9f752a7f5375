"""The explanations why a key result is not forecast, and what is still needed to close it."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from serving.status_explanations import missing_to_close, why_no_forecast

ROW: dict[str, Any] = {
    "status": "awaiting_close", "cycle_start": date(2026, 7, 1), "cycle_end": date(2026, 9, 30), "unit": "percent",
    "baseline": 0.0, "target": 99.999, "latest_value": 99.996, "latest_check_in_at": datetime(2026, 9, 28, tzinfo=UTC),
    "final_at": None, "final_score": None,
}  # fmt: skip


def test_an_ended_key_result_lacks_a_closing_check_in_and_shows_its_latest_value() -> None:
    text = missing_to_close(ROW)
    assert text is not None
    assert "ended on 2026-09-30. A closing check-in is missing" in text
    assert "99.996 of 99.999 percent, from 2026-09-28" in text
    status, detail = why_no_forecast(ROW)
    assert status == "awaiting_close"
    assert detail.startswith(text)


def test_a_key_result_without_a_check_in_says_so() -> None:
    text = missing_to_close({**ROW, "latest_value": None, "latest_check_in_at": None})
    assert text is not None
    assert text.endswith("It has no check-in yet.")


LEFT = {**ROW, "ended_at": datetime(2026, 10, 1, tzinfo=UTC), "closable_until": date(2026, 10, 7)}
CORRECT = 'correct its latest check-in of that cycle with "is_final": true (PUT /v1/check-ins/{check_in_id})'


@pytest.mark.parametrize("closable_until", [date(2026, 10, 7), None])
def test_a_carried_over_key_result_gets_no_advice_that_would_close_its_new_cycle(closable_until: date | None) -> None:
    """After closable_until, a new closing check-in would close the new cycle."""
    text = missing_to_close({**LEFT, "closable_until": closable_until}, datetime(2026, 10, 8, tzinfo=UTC))
    assert text is not None
    assert f"To close it in that cycle, {CORRECT}. The latest" in text
    assert "POST" not in text


def test_a_carried_over_key_result_shows_the_last_day_for_a_closing_check_in() -> None:
    on_the_last_day = datetime(2026, 10, 7, 23, tzinfo=UTC)
    text = missing_to_close(LEFT, on_the_last_day)
    assert text is not None
    assert f'its final value and "is_final": true until 2026-10-07 (POST /v1/check-ins), or {CORRECT}' in text
    silent = missing_to_close({**LEFT, "latest_value": None}, on_the_last_day)
    assert silent is not None
    assert silent.endswith("until 2026-10-07 (POST /v1/check-ins). It has no check-in yet.")


def test_a_key_result_that_moves_to_a_future_cycle_is_closed_by_a_check_in_of_today() -> None:
    text = missing_to_close(LEFT, datetime(2026, 9, 30, 23, tzinfo=UTC))
    assert text is not None
    assert "A closing check-in is missing" in text


@pytest.mark.parametrize("status", ["on_track", "achieved", "archived", "no_cycle", "not_started", "no_check_in"])
def test_nothing_is_missing_before_the_cycle_has_ended(status: str) -> None:
    assert missing_to_close({**ROW, "status": status}) is None


def test_each_status_has_its_reason() -> None:
    closed = {**ROW, "final_at": datetime(2026, 10, 2, tzinfo=UTC), "final_score": 0.6996, "status": "missed"}
    text = {status: why_no_forecast({**closed, "status": status}) for status in ("missed", "archived", "no_cycle")}
    assert text["missed"] == (
        "closed",
        "It was closed on 2026-10-02 with a final score of 0.6996 (missed): the outcome is known, so it is not "
        "forecast.",
    )
    assert text["archived"][0] == "archived"
    assert why_no_forecast(None)[0] == "unknown"
    assert why_no_forecast({**ROW, "status": "not_started"})[1].startswith("Its cycle starts on 2026-07-01")
