"""Explain why a key result has no forecast, and what is still needed to close it after the end of its cycle."""

from datetime import UTC, date, datetime
from typing import Literal

from lakehouse.number_format import Measure, score
from serving.publication_reader import Row

NoForecastStatus = Literal["unknown", "not_forecastable", "closed", "archived", "awaiting_close"]


def missing_to_close(row: Row, now: datetime | None = None) -> str | None:
    """Return what is still needed to close a key result after the end of its cycle, or None if nothing is needed.

    `row` is a row of mart_okr_scorecard with status, cycle_end, unit, baseline, target, latest_value and
    latest_check_in_at. For a past cycle, it also has ended_at and closable_until.
    In its current cycle, a key result is closed by a closing check-in with the current time. In a past cycle, it is
    closed by a closing check-in dated in that cycle or, until closable_until (UTC), by the first closing check-in after
    the key result left the cycle.
    """
    if row["status"] != "awaiting_close":
        return None
    now = now or datetime.now(UTC)
    ended_at = row.get("ended_at")
    if ended_at is not None and ended_at <= now:
        missing = _missing_in_past_cycle(row, now.astimezone(UTC).date())
    else:
        missing = (
            f"Its cycle ended on {row['cycle_end']}. A closing check-in is missing: send the final value with "
            '"is_final": true (POST /v1/check-ins), or close it in the OKR tool'
        )
    if row["latest_value"] is None:
        return f"{missing}. It has no check-in yet."
    measure = Measure(row["baseline"], row["target"])
    latest, target = measure.value(row["latest_value"]), measure.defined(row["target"])
    unit = f" {row['unit']}" if row["unit"] else ""
    return f"{missing}. The latest value is {latest} of {target}{unit}, from {_day(row['latest_check_in_at'])}."


def _missing_in_past_cycle(row: Row, today: date) -> str:
    """Return how to close a key result in a past cycle. After closable_until, check-ins close the new cycle instead."""
    over = f"Its cycle ended on {row['cycle_end']}, and it was carried over without a closing check-in"
    until, ways = row.get("closable_until"), []
    if until is not None and today <= until:
        ways.append(f'check in with its final value and "is_final": true until {until} (POST /v1/check-ins)')
    if row["latest_value"] is not None:
        ways.append('correct its latest check-in of that cycle with "is_final": true (PUT /v1/check-ins/{check_in_id})')
    return f"{over}. To close it in that cycle, {', or '.join(ways)}" if ways else over


def why_no_forecast(row: Row | None) -> tuple[NoForecastStatus, str]:
    """Return the status of a key result without a forecast and the reason. `row` is None if it is not published."""
    if row is None:
        return "unknown", "This publication has no key result with that id; GET /v1/key-results lists its key results."
    reason: tuple[NoForecastStatus, str]
    match row["status"]:
        case "archived":
            reason = "archived", "It is archived and no longer worked on, so it is not forecast."
        case "achieved" | "missed":
            ended = f"It was closed on {_day(row['final_at'])} with a final score of {score(row['final_score'])}"
            reason = "closed", f"{ended} ({row['status']}): the outcome is known, so it is not forecast."
        case "awaiting_close":
            reason = "awaiting_close", f"{missing_to_close(row)} Its cycle is over, so it is not forecast."
        case status:
            reason = "not_forecastable", _not_yet(status, row)
    return reason


def _not_yet(status: str, row: Row) -> str:
    if status == "no_cycle":
        return "Its objective or cycle is not defined, so it has no end date to forecast for."
    if status == "not_started":
        return f"Its cycle starts on {row['cycle_start']}; forecasts start on the following day."
    return "The publication has no data yet on which a forecast could be based."


def _day(moment: datetime | date | None) -> str:
    return "an unknown day" if moment is None else f"{moment:%Y-%m-%d}"
