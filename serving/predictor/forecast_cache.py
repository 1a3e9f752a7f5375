"""Share the forecasts of a publication and version among all workers in Redis: one computes them, the others read them.

The key consists of model, version and publication, which together determine the forecasts. It includes the time of the
publication, because a re-created database assigns the same publication numbers again. While Redis is unavailable, every
worker computes the forecasts itself.
"""

import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import msgspec
import redis

from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger
from serving.observability import metrics
from serving.predictor.key_result_answers import CurrentForecasts
from serving.publication_reader import Publication

PREFIX = "okr:forecasts:"
LOCK = ":lock"
TTL_S = 900  # long enough for all workers and for a rollback; a later worker computes the forecasts again
COMPUTING_S = 30.0  # others compute themselves if the worker that holds the lock takes longer
POLL_S = 0.05
UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


@dataclass(frozen=True)
class CacheEntry:
    """The forecasts of a publication and version: key in Redis, compressed size in bytes, and seconds until expiry."""

    key: str
    bytes: int
    expires_in_s: int


class ForecastCache:
    """Reads and writes all forecasts of a publication and version as one value."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(CurrentForecasts)
        self._log = get_logger(__name__)

    def get_or_compute(
        self, publication: Publication, version_key: str, compute: Callable[[], CurrentForecasts]
    ) -> CurrentForecasts:
        """Return the cached forecasts, wait for another worker that is computing them, or compute and cache them."""
        at = f"{publication.published_at:%Y%m%dT%H%M%S.%f}"
        key = f"{PREFIX}v3:{publication.publication_id}@{at}:{version_key}"
        token = uuid.uuid4().hex
        try:
            found = self._get_or_lock(key, token)
        except redis.RedisError as error:
            self._log.warning("forecasts are computed without the cache", error=str(error))
            metrics.FORECAST_CACHE.labels("unavailable").inc()
            return compute()
        metrics.FORECAST_CACHE.labels("miss" if found is None else "hit").inc()
        if found is not None:
            return found
        try:
            forecasts = compute()
            self._put(key, forecasts)
        finally:
            self._unlock(key, token)
        return forecasts

    def entries(self) -> list["CacheEntry"]:
        """Return what is cached.

        Raises:
            RetryableError: Redis is unavailable.
        """
        with _available():
            keys = self._keys()
            pipeline = self._redis.pipeline(transaction=False)
            for key in keys:
                pipeline.strlen(key)
                pipeline.ttl(key)
            figures = pipeline.execute()
        found = zip(keys, figures[::2], figures[1::2], strict=True)
        return [CacheEntry(key.decode(), size, max(ttl, 0)) for key, size, ttl in found if size]

    def clear(self) -> int:
        """Delete what is cached, and return the number of entries. Workers keep the forecasts in their memory.

        Raises:
            RetryableError: Redis is unavailable.
        """
        with _available():
            keys = self._keys()
            return self._redis.unlink(*keys) if keys else 0

    def _keys(self) -> list[bytes]:
        keys = self._redis.scan_iter(match=f"{PREFIX}*", count=1_000)
        return sorted(key for key in set(keys) if not key.endswith(LOCK.encode()))

    def _get_or_lock(self, key: str, token: str) -> CurrentForecasts | None:
        """Return the cached forecasts, or None if this worker should compute them."""
        deadline = time.monotonic() + COMPUTING_S
        while True:
            found = cast("bytes | None", self._redis.get(key))
            if found is not None:
                return self._decoded(found)
            if self._redis.set(f"{key}{LOCK}", token, nx=True, px=int(COMPUTING_S * 1000)):
                return self._cached_meanwhile(key, token)
            if time.monotonic() > deadline:
                self._log.warning("another worker takes too long to compute the forecasts", key=key)
                return None
            time.sleep(POLL_S)

    def _cached_meanwhile(self, key: str, token: str) -> CurrentForecasts | None:
        """Return what another worker cached between the last look and the lock, and then release the lock."""
        found = cast("bytes | None", self._redis.get(key))
        forecasts = None if found is None else self._decoded(found)
        if forecasts is not None:
            self._unlock(key, token)
        return forecasts

    def _decoded(self, found: bytes) -> CurrentForecasts | None:
        try:
            return self._decoder.decode(zlib.decompress(found))
        except (zlib.error, msgspec.DecodeError, msgspec.ValidationError) as error:
            self._log.warning("cached forecasts are unreadable and computed again", error=str(error))
            return None

    def _put(self, key: str, forecasts: CurrentForecasts) -> None:
        try:
            self._redis.set(key, zlib.compress(self._encoder.encode(forecasts), 1), ex=TTL_S)
        except redis.RedisError as error:
            self._log.warning("forecasts are not cached", error=str(error))

    def _unlock(self, key: str, token: str) -> None:
        try:
            self._redis.eval(UNLOCK, 1, f"{key}{LOCK}", token)
        except redis.RedisError as error:
            self._log.info("the lock expires automatically", key=key, error=str(error))


@contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise RetryableError(f"Redis is unavailable ({type(error).__name__}). Try again.") from error
