"""The representation of cached forecasts."""

from datetime import datetime

import msgspec


class CachedForecast(msgspec.Struct, frozen=True):
    """A forecast in the form that is cached and shown on pages. `as_of` is the time that its features describe."""

    as_of: datetime
    probability: float
    low: float
    high: float
    reasons: tuple[str, ...]
    cycle_id: str | None = None
