"""How numbers and times read on the page."""

from datetime import UTC, date, datetime


def percent(share: float | None) -> str:
    """Say a share (0-1) as whole percent; never a certainty that a forecast does not have."""
    if share is None:
        return "–"
    if 0 < share < 0.01:
        return "<1%"
    if 0.99 < share < 1:
        return ">99%"
    return _minus(f"{share:.0%}")


def score(value: float | None) -> str:
    """Say a score (0-1) with two decimals."""
    return "–" if value is None else f"{value:.2f}"


def number(value: float | None) -> str:
    """Say a value in its own unit: as many digits as it needs, groups of thousands."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return _minus(f"{value:,.0f}".replace(",", "\u202f"))
    return _minus(f"{value:.4g}")


def moment(value: datetime | None) -> str:
    """Say a time, UTC, to the minute."""
    return "–" if value is None else f"{_day(value.astimezone(UTC))}, {value.astimezone(UTC):%H:%M} UTC"


def clock(value: datetime) -> str:
    """Say a time of day, UTC."""
    return f"{value.astimezone(UTC):%H:%M}"


def day(value: date | None) -> str:
    """Say a day."""
    return "–" if value is None else _day(value)


def _minus(text: str) -> str:
    return text.replace("-", "\u2212", 1) if text.startswith("-") else text


def _day(value: date) -> str:
    return f"{value.day} {value:%b} {value.year}"
