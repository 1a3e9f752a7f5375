"""What happens now, as the state consumer tells it in Redis: seconds old, and belonging to no publication."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from ingestion.state.redis_figures import Figure, read_live
from lakehouse.logs import get_logger


@dataclass(frozen=True)
class LiveFigures:
    """Reads the figures that the state consumer keeps in Redis."""

    client: "redis.Redis"

    def read(self) -> dict[str, Any] | None:
        """Return each figure with its time; None while Redis is away. A value that is stale is None."""
        try:
            figures, lags = read_live(self.client)
        except redis.RedisError as error:
            get_logger(__name__).warning("live figures cannot be read", error=str(error))
            return None
        told: dict[str, Any] = {name: _told(figure) for name, figure in figures.items()}
        return {**told, "consumer_lag": {group: _told(figure) for group, figure in lags.items()}}


def _told(figure: Figure) -> dict[str, Any]:
    as_of = None if figure.as_of is None else datetime.fromtimestamp(figure.as_of, UTC)
    return {"value": figure.value, "as_of": as_of}
