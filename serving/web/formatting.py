"""Format numbers and times for the pages."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lakehouse import number_format
from lakehouse.number_format import Measure


def percent(share: float | None) -> str:
    """Format a share as a percentage."""
    return _typographic(number_format.percent(share))


def chance(probability: float | None) -> str:
    """Format a probability as a whole percentage, never as 0 % or 100 %."""
    return _typographic(number_format.chance(probability))


def score(value: float | None) -> str:
    """Format a score (0-1)."""
    return _typographic(number_format.score(value))


def measured_value(value: float | None, row: Mapping[str, Any]) -> str:
    """Format a key result's value in its unit; `row` has its baseline and target."""
    return _typographic(Measure(row["baseline"], row["target"]).value(value))


def defined_value(value: float, row: Mapping[str, Any]) -> str:
    """Format a key result's baseline or target."""
    return _typographic(Measure(row["baseline"], row["target"]).defined(value))


def expected_count(value: float) -> str:
    """Format an expected count to one decimal."""
    return _typographic(number_format.expected_count(value))


def moment(value: datetime | None) -> str:
    """Format a time in UTC to the minute."""
    return "–" if value is None else f"{_day(value.astimezone(UTC))}, {value.astimezone(UTC):%H:%M} UTC"


def clock(value: datetime) -> str:
    """Format a time of day in UTC."""
    return f"{value.astimezone(UTC):%H:%M}"


def age(value: timedelta) -> str:
    """Format an age in its largest unit. A clock that is behind makes no negative age."""
    seconds = max(0, int(value.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return "less than a minute"


def day(value: date | None) -> str:
    """Format a day."""
    return "–" if value is None else _day(value)


def _typographic(text: str) -> str:
    """Replace ASCII characters with typographic characters."""
    return "–" if text == number_format.UNKNOWN else text.replace("-", "\u2212").replace(",", "\u202f")


def _day(value: date) -> str:
    return f"{value.day} {value:%b} {value.year}"
