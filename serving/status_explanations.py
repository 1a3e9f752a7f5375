"""In words: why a key result is not forecast, and what is missing to close one whose cycle is over."""

from datetime import UTC, date, datetime
from typing import Literal

from lakehouse.number_format import Measure, score
from serving.publication_reader import Row

NoForecastStatus = Literal["unknown", "not_forecastable", "closed", "archived", "awaiting_close"]


def missing_to_close(row: Row, now: datetime | None = None) -> str | None:
    """Say what is missing to close a key result of a cycle that is over; None where nothing is.

    `row`: of mart_okr_scorecard, with status, cycle_end, unit, baseline, target, latest_value, latest_check_in_at; and
    ended_at and closable_until (serving/data/queries/key_result.sql), unless it is the current cycle. A check-in of now
    closes a key result in the cycle where it is now; in a cycle that it has left, a check-in of that time does, and
    until closable_until (UTC) the first closing one.
    """
    if row["status"] != "awaiting_close":
        return None
    now = now or datetime.now(UTC)
    ended_at = row.get("ended_at")
    if ended_at is not None and ended_at <= now:
        missing = _missing_in_the_cycle_left(row, now.astimezone(UTC).date())
    else:
        missing = (
            f"Its cycle ended on {row['cycle_end']}. A closing check-in is missing: the final value, "
            'with "is_final": true (POST /v1/check-ins), or closed in the OKR tool'
        )
    if row["latest_value"] is None:
        return f"{missing}; nobody has ever checked in."
    measure = Measure(row["baseline"], row["target"])
    latest, target = measure.value(row["latest_value"]), measure.defined(row["target"])
    unit = f" {row['unit']}" if row["unit"] else ""
    return f"{missing}. The latest value is {latest} of {target}{unit}, of {_day(row['latest_check_in_at'])}."


def _missing_in_the_cycle_left(row: Row, today: date) -> str:
    """Say how to close it there: a check-in after the last day for it would close the new cycle."""
    over = f"Its cycle ended on {row['cycle_end']}, and it was carried over without a closing check-in"
    until, ways = row.get("closable_until"), []
    if until is not None and today <= until:
        ways.append(f'check in with its final value and "is_final": true until {until} (POST /v1/check-ins)')
    if row["latest_value"] is not None:
        ways.append('correct its latest check-in of that cycle with "is_final": true (PUT /v1/check-ins/{check_in_id})')
    return f"{over}. To close it there, {', or '.join(ways)}" if ways else over


def why_no_forecast(row: Row | None) -> tuple[NoForecastStatus, str]:
    """Say why a key result of the publication, or None for one that it does not hold, has no forecast."""
    if row is None:
        return "unknown", "This publication holds no key result of that id; GET /v1/key-results lists them."
    reason: tuple[NoForecastStatus, str]
    match row["status"]:
        case "archived":
            reason = "archived", "It was archived: it is no longer worked on, so nothing is left to forecast."
        case "achieved" | "missed":
            ended = f"It was closed on {_day(row['final_at'])} with a final score of {score(row['final_score'])}"
            reason = "closed", f"{ended} ({row['status']}): the outcome is known, so it is not forecast."
        case "awaiting_close":
            reason = "awaiting_close", f"{missing_to_close(row)} What has ended is not forecast."
        case status:
            reason = "not_forecastable", _not_yet(status, row)
    return reason


def _not_yet(status: str, row: Row) -> str:
    if status == "no_cycle":
        return "Its objective or cycle is not defined, so it has no end."
    if status == "not_started":
        return f"Its cycle starts on {row['cycle_start']}: forecasts begin on the day after."
    return "The publication holds nothing of it yet that a forecast could start from."


def _day(moment: datetime | date | None) -> str:
    return "an unknown day" if moment is None else f"{moment:%Y-%m-%d}"
