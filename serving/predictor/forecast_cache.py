"""Cache forecasts in Redis by publication, model version and key result, which together determine a forecast.

The `v2` in the keys means that only forecasts of key results open in a running cycle are cached.
"""

from collections.abc import Sequence
from typing import cast

import msgspec
import redis

from lakehouse.logs import get_logger
from serving import metrics
from serving.predictor.cached_forecast import CachedForecast

TTL_S = 24 * 3600


class ForecastCache:
    """Reads and writes forecasts in bulk. While Redis is unavailable, warnings are logged and nothing is cached."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(CachedForecast)
        self._log = get_logger(__name__)

    def get(self, publication_id: int, model_key: str, ids: Sequence[str]) -> dict[str, CachedForecast]:
        """Return the cached forecasts by key result id."""
        if not ids:
            return {}
        try:
            values = self._redis.mget([_key(publication_id, model_key, one) for one in ids])
        except redis.RedisError as error:
            self._log.warning("forecasts are computed without the cache", error=str(error))
            metrics.FORECAST_CACHE.labels("unavailable").inc(len(ids))
            return {}
        found = {
            one: self._decoder.decode(cast("bytes", value))
            for one, value in zip(ids, values, strict=True)
            if value is not None
        }
        metrics.FORECAST_CACHE.labels("hit").inc(len(found))
        metrics.FORECAST_CACHE.labels("miss").inc(len(ids) - len(found))
        return found

    def put(self, publication_id: int, model_key: str, forecasts: dict[str, CachedForecast]) -> None:
        """Cache forecasts by key result id."""
        if not forecasts:
            return
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for one, forecast in forecasts.items():
                pipeline.set(_key(publication_id, model_key, one), self._encoder.encode(forecast), ex=TTL_S)
            pipeline.execute()
        except redis.RedisError as error:
            self._log.warning("forecasts are not cached", error=str(error))


def _key(publication_id: int, model_key: str, key_result_id: str) -> str:
    return f"okr:forecast:v2:{publication_id}:{model_key}:{key_result_id}"
