"""Token buckets: in Redis, shared by all workers, or in this worker's memory while Redis is unavailable."""

import time
from importlib.resources import files
from typing import NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lakehouse.logs import get_logger
from lakehouse.redis_connection import new_client
from serving.limits.rate_plan import RatePlan

KEY = "okr:rate:"
# A take blocks the event loop: it usually lasts 0.1 ms. After one error, this worker uses its own buckets until the
# background thread reaches Redis again, so a frozen Redis delays a worker's requests once.
REDIS_LIMIT_S = 0.05
MOST_LOCAL_BUCKETS = 20_000


class Grant(NamedTuple):
    """Tokens taken from a bucket, the tokens left in it, and the time until there are enough if none was granted."""

    tokens: int
    left: int
    wait_s: float


def limited_client(redis_url: str) -> "redis.Redis":
    """Return a client that gives up after REDIS_LIMIT_S and never tries twice."""
    return new_client(redis_url, REDIS_LIMIT_S, retry=Retry(NoBackoff(), 0))


class SharedBuckets:
    """Buckets in Redis. Each take is one call of a script."""

    def __init__(self, client: "redis.Redis") -> None:
        self.is_available = True
        self._redis = client
        self._take = client.register_script(files(__package__).joinpath("token_bucket.lua").read_text("ascii"))
        self._log = get_logger(__name__)

    def take(self, key: str, plan: RatePlan, wanted: int, needed: int = 1) -> Grant | None:
        """Take at most `wanted` tokens and at least `needed`, or none. Return None if Redis is unavailable."""
        if not self.is_available:
            return None
        try:
            granted, left, wait_us = self._take(
                [KEY + key], [1e6 / plan.requests_per_second, plan.burst, wanted, needed]
            )
        except redis.RedisError as error:
            self.is_available = False
            self._log.warning("requests are limited by each worker alone", error=type(error).__name__)
            return None
        return Grant(granted, left, wait_us / 1e6)

    def reconnect(self) -> None:
        """Use Redis again if it responds. Call this in the background while `is_available` is false."""
        try:
            self._redis.ping()
        except redis.RedisError:
            return
        self.is_available = True
        self._log.info("requests are limited across all workers again")


class LocalBuckets:
    """Buckets of this worker. Their number is bounded; the fullest buckets are dropped first."""

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}

    def take(self, key: str, plan: RatePlan, wanted: int, needed: int = 1) -> Grant:
        """Take at most `wanted` tokens and at least `needed`, or none."""
        now, per_token = time.monotonic(), 1.0 / plan.requests_per_second
        full_at = min(max(self._full_at.get(key, 0.0), now), now + plan.burst * per_token)
        # The tolerance compensates for rounding: without it, a token is sometimes granted one request too late.
        available = int((now + plan.burst * per_token - full_at) / per_token + 1e-6)
        granted = min(wanted, available)
        if granted < needed:
            return Grant(0, max(0, available), full_at + (needed - plan.burst) * per_token - now)
        if len(self._full_at) >= MOST_LOCAL_BUCKETS:
            self._drop(now)
        self._full_at[key] = full_at + granted * per_token
        return Grant(granted, available - granted, 0.0)

    def _drop(self, now: float) -> None:
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        surplus = max(0, len(self._full_at) - MOST_LOCAL_BUCKETS // 2)
        for key in sorted(self._full_at, key=self._full_at.__getitem__)[:surplus]:
            del self._full_at[key]
