"""What happens now, as the state consumer tells it in Redis: seconds old, and belonging to no publication."""

from dataclasses import dataclass
from typing import Any

import redis

from ingestion.state.realtime import read_figures
from lakehouse.logs import get_logger


@dataclass(frozen=True)
class LiveFigures:
    """Reads the figures that the state consumer keeps in Redis."""

    client: "redis.Redis"

    def read(self) -> dict[str, Any] | None:
        """Return what `ingestion.state.realtime.read_figures` does; None while Redis is away."""
        try:
            return read_figures(self.client)
        except redis.RedisError as error:
            get_logger(__name__).warning("live figures cannot be read", error=str(error))
            return None
