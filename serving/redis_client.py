"""The client of Redis for requests, which wait only briefly if Redis does not respond."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lakehouse.redis_connection import new_client

REDIS_LIMIT_S = 0.5  # requests must not wait longer, because most of them can do without Redis


def redis_client(redis_url: str, limit_s: float = REDIS_LIMIT_S) -> "redis.Redis":
    """Return a client that waits for at most `limit_s`. Nothing connects yet.

    By default, the library tries each command eleven times, which takes more than five seconds if Redis is frozen. This
    client tries again once, and only if the connection was closed, as it is after a restart of Redis.
    """
    return new_client(redis_url, limit_s, retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)))
