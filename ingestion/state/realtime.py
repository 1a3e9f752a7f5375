"""Real-time figures in Redis: who is active, check-ins a minute, how far the consumer is behind.

A cache, never a source: Redis may be flushed or away, the state consumer goes on. Members are event ids and user ids,
so an event that is read twice counts once.
"""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ingestion.events import DecodedEvent
from lakehouse.logs import get_logger

if TYPE_CHECKING:
    from redis import Redis

log = get_logger(__name__)

ACTIVE_USERS = "okr:active_users"  # sorted set: user id -> when last seen
CHECK_INS = "okr:check_ins"  # sorted set: event id -> when it happened
LAG = "okr:consumer_lag"  # hash: consumer group -> events not yet read
ACTIVE_SECONDS = 900
KEPT_SECONDS = 3600


def open_redis(url: str) -> "Redis":
    """Return a client that never waits for long."""
    from redis import Redis

    return Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=2.0)


class RealtimeFigures:
    """What the state consumer writes after each batch."""

    def __init__(self, redis: "Redis", group: str) -> None:
        self._redis, self._group = redis, group
        self._is_away = False

    def update(self, events: Iterable[DecodedEvent], lag: int) -> None:
        """Take note of recent events and of the lag; without Redis, log that once and go on."""
        from redis import RedisError

        now = time.time()
        users, check_ins = _recent(events, now - KEPT_SECONDS)
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                if users:
                    pipeline.zadd(ACTIVE_USERS, users, gt=True)
                if check_ins:
                    pipeline.zadd(CHECK_INS, check_ins)
                for key in (ACTIVE_USERS, CHECK_INS):
                    pipeline.zremrangebyscore(key, "-inf", now - KEPT_SECONDS)
                pipeline.hset(LAG, self._group, str(lag))
                pipeline.execute()
        except RedisError as error:
            if not self._is_away:
                log.warning("real-time figures are not kept while Redis is away", error=str(error))
            self._is_away = True
        else:
            self._is_away = False


def _recent(events: Iterable[DecodedEvent], since: float) -> tuple[dict[str, float], dict[str, float]]:
    users: dict[str, float] = {}
    check_ins: dict[str, float] = {}
    for event in events:
        at = event.envelope.time.timestamp()
        if at < since:
            continue
        user = getattr(event.payload, "user_id", None)
        if user and event.envelope.type != "okr.user.defined.v1":
            users[user] = max(at, users.get(user, at))
        if event.envelope.type == "okr.check_in.recorded.v1":
            check_ins[str(event.envelope.id)] = at
    return users, check_ins


def read_figures(redis: "Redis") -> dict[str, Any]:
    """Return active_users (last 15 minutes), check_ins_per_minute (mean of the last five) and consumer_lag by group.

    Raises:
        redis.RedisError: Redis is away.
    """
    now = time.time()
    lag: Any = redis.hgetall(LAG)
    recent: Any = redis.zcount(CHECK_INS, now - 300, "+inf")
    return {
        "active_users": redis.zcount(ACTIVE_USERS, now - ACTIVE_SECONDS, "+inf"),
        "check_ins_per_minute": recent / 5,
        "consumer_lag": {group.decode(): int(value) for group, value in lag.items()},
    }
