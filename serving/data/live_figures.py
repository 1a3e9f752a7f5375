"""Read the live figures that the state consumer writes to Redis. They are seconds old and not tied to a publication."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from ingestion.state.redis_figures import Figure, read_live
from lakehouse.logs import get_logger


@dataclass(frozen=True)
class LiveFigures:
    """Reads the figures that the state consumer writes to Redis."""

    client: "redis.Redis"

    def read(self) -> dict[str, Any] | None:
        """Return each figure with its time, or None if Redis is unavailable. The value of a stale figure is None."""
        try:
            figures, lags = read_live(self.client)
        except redis.RedisError as error:
            get_logger(__name__).warning("live figures cannot be read", error=str(error))
            return None
        values: dict[str, Any] = {name: _with_time(figure) for name, figure in figures.items()}
        return {**values, "consumer_lag": {group: _with_time(figure) for group, figure in lags.items()}}


def _with_time(figure: Figure) -> dict[str, Any]:
    as_of = None if figure.as_of is None else datetime.fromtimestamp(figure.as_of, UTC)
    return {"value": figure.value, "as_of": as_of}
