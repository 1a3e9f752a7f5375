"""How numbers and times read on the page."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from lakehouse import number_format
from lakehouse.number_format import Measure


def percent(share: float | None) -> str:
    """Say a share as per cent."""
    return _typographic(number_format.percent(share))


def chance(probability: float | None) -> str:
    """Say a probability as whole per cent; never a certainty that a forecast does not have."""
    return _typographic(number_format.chance(probability))


def score(value: float | None) -> str:
    """Say a score (0-1)."""
    return _typographic(number_format.score(value))


def value_of(value: float | None, row: Mapping[str, Any]) -> str:
    """Say a value of a key result in its own unit; `row` holds its baseline and target."""
    return _typographic(Measure(row["baseline"], row["target"]).value(value))


def defined_of(value: float, row: Mapping[str, Any]) -> str:
    """Say a key result's baseline or target itself."""
    return _typographic(Measure(row["baseline"], row["target"]).defined(value))


def about(value: float) -> str:
    """Say how many, to a tenth, of what is only expected."""
    return _typographic(number_format.tenth(value))


def moment(value: datetime | None) -> str:
    """Say a time, UTC, to the minute."""
    return "–" if value is None else f"{_day(value.astimezone(UTC))}, {value.astimezone(UTC):%H:%M} UTC"


def clock(value: datetime) -> str:
    """Say a time of day, UTC."""
    return f"{value.astimezone(UTC):%H:%M}"


def day(value: date | None) -> str:
    """Say a day."""
    return "–" if value is None else _day(value)


def _typographic(text: str) -> str:
    """Replace the plain signs of `lakehouse.number_format` by those of print."""
    return "–" if text == number_format.UNKNOWN else text.replace("-", "\u2212").replace(",", "\u202f")


def _day(value: date) -> str:
    return f"{value.day} {value:%b} {value.year}"
