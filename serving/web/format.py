"""How numbers and times read on the page."""

from datetime import UTC, date, datetime


def percent(share: float | None) -> str:
    """Say a share (0-1) as whole percent; never a certainty that a forecast does not have."""
    if share is None:
        return "–"
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{share * 100:.0f} %"


def score(value: float | None) -> str:
    """Say a score (0-1) with two decimals."""
    return "–" if value is None else f"{value:.2f}"


def number(value: float | None) -> str:
    """Say a value in its own unit: as many digits as it needs, groups of thousands."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.4g}"


def moment(value: datetime | None) -> str:
    """Say a time, UTC, to the minute."""
    return "–" if value is None else f"{_day(value.astimezone(UTC))}, {value.astimezone(UTC):%H:%M} UTC"


def day(value: date | None) -> str:
    """Say a day."""
    return "–" if value is None else _day(value)


def _day(value: date) -> str:
    return f"{value.day} {value:%b} {value.year}"
