"""Maintain the live figures in Redis: active users, check-ins per minute, progress by cycle, consumer lag.

Redis is only a cache. It may lose its data or be unavailable at any time. The state consumer then continues without it
and rebuilds the figures from the state tables (schema `app`) when Redis responds again. The members of the sorted
sets are event ids and user ids, so an event that is read twice counts once.

Data loss is detected as follows. Each consumer numbers its writes. With each write, it stores the number under its own
Redis key and reads the previous number. If Redis has lost data (after a flush, a restart from an old dump or a failed
write), the previous number does not match, and the consumer rewrites all figures. An idle consumer writes once per
second, so the figures are restored even if no events arrive.

Several consumers may write concurrently. Every write that changes anything but lags increments a shared counter. Before
a consumer queries the database for figures that it will replace, it starts to watch this counter. If another consumer
writes in the meantime, Redis rejects the write, and the query is repeated.
"""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ingestion.state.followed_events import CHECK_IN, DEACTIVATED, USER_EVENTS
from ingestion.state.store import Recent, Row
from lakehouse.logs import get_logger
from lakehouse.redis_connection import new_client

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

log = get_logger(__name__)

ACTIVE_USERS = "okr:active_users"  # sorted set: user id -> last activity
CHECK_INS = "okr:check_ins"  # sorted set: event id -> time of the check-in
CYCLE_PROGRESS = "okr:cycle_progress"  # hash: cycle id -> weighted mean score of its key results, 0-1
LAG = "okr:consumer_lag"  # hash: group/topic/partition -> unread events
WRITTEN_AT = "okr:figures_written_at"  # hash: recent, progress or group/topic/partition -> time of its last update
WRITES = "okr:figures:"  # prefix, followed by the id of a writer -> number of its last write
CHANGES = "okr:figures_changes"  # counter of changes to shared figures
RECENT, PROGRESS = "recent", "progress"
STALE_SECONDS = 30  # a consumer writes at least once a second
ATTEMPTS = 5
ACTIVE_SECONDS = 900
RETENTION_SECONDS = 3600
LONGEST_ID = 128
PROGRESS_SECONDS = 0.5  # minimum interval between computations of progress

Lag = Mapping[tuple[str, int], int | None]  # (topic, partition) -> unread events; None if not known yet


class Source(Protocol):
    """The database from which figures are rebuilt."""

    def recent(self, since: float) -> Recent:
        """Return the users active and the check-ins made after `since` (seconds since the epoch)."""

    def cycle_progress(self) -> dict[str, float]:
        """Return the weighted mean score (0-1) of each cycle's key results."""


def open_redis(url: str) -> "Redis":
    """Return a client with short timeouts."""
    return new_client(url, 2.0)


class RealtimeFigures:
    """The figures that one state consumer writes after each batch, and once per second when idle."""

    def __init__(self, redis: "Redis", group: str, source: Source) -> None:
        self._redis, self._group, self._source = redis, group, source
        self._key = f"{WRITES}{uuid.uuid4().hex}"
        self._writes = 0
        self._is_complete = False  # whether Redis is known to have everything that was written
        self._is_down = False
        self._recent = Recent({}, {})
        self._may_change_progress = True
        self._may_change_activity = False  # whether recent data must be read from the database again
        self._progress_at = 0.0

    def note(self, rows: Sequence[Row], *, may_change_progress: bool, may_change_activity: bool = False) -> None:
        """Add a stored batch to the next `write`.

        If events were withheld or released, activity may have changed, so recent data must be read from the database.
        """
        recent = _recent(rows, time.time() - RETENTION_SECONDS)
        users = dict(self._recent.users)
        for user, at in recent.users.items():
            users[user] = max(at, users.get(user, at))
        self._recent = Recent(users, {**self._recent.check_ins, **recent.check_ins})
        self._may_change_activity |= may_change_activity or any(row["event_type"] == DEACTIVATED for row in rows)
        self._may_change_progress |= may_change_progress

    def write(self, lag: Lag) -> None:
        """Write the added batches and the lag. If Redis is down, log a warning once and continue.

        Raises:
            psycopg.Error: the figures could not be rebuilt because PostgreSQL failed.
        """
        from redis import RedisError

        try:
            if self._is_complete and not self._may_change_activity:
                self._is_complete = self._write_with_retries(lag)
            self._is_complete &= not self._may_change_activity
            if not self._is_complete:
                log.info("rebuilding the live figures from the state tables")
                self._may_change_progress, self._progress_at = True, 0.0
                self._is_complete = self._write_with_retries(lag, rebuild=True)
        except RedisError as error:
            if not self._is_down:
                log.warning("live figures are not updated while Redis is down", error=str(error))
            self._is_down, self._is_complete = True, False
        else:
            self._is_down, self._may_change_activity = False, False
        self._recent = Recent({}, {})  # already written, or to be rebuilt from the state tables

    def _write_with_retries(self, lag: Lag, *, rebuild: bool = False) -> bool:
        """Write, and retry if another consumer wrote in the meantime; return whether Redis now has all data."""
        from redis import WatchError

        for _ in range(ATTEMPTS):
            try:
                return self._write(lag, rebuild=rebuild) or rebuild
            except WatchError:
                continue
        return False

    def _write(self, lag: Lag, *, rebuild: bool) -> bool:
        """Write in one transaction; return whether Redis still had this consumer's previous write."""
        with self._redis.pipeline(transaction=True) as pipeline:
            is_due = self._may_change_progress and time.monotonic() >= self._progress_at + PROGRESS_SECONDS
            if rebuild or is_due:
                pipeline.watch(CHANGES)  # type: ignore[no-untyped-call]
            recent = self._source.recent(time.time() - RETENTION_SECONDS) if rebuild else self._recent
            progress: dict[Any, Any] | None = dict(self._source.cycle_progress()) if is_due else None
            pipeline.multi()
            if rebuild or is_due or recent.users or recent.check_ins:
                pipeline.incr(CHANGES)
            if rebuild:
                pipeline.delete(ACTIVE_USERS, CHECK_INS)
            _write_recent(pipeline, recent)
            if progress is not None:
                pipeline.delete(CYCLE_PROGRESS)
                if progress:
                    pipeline.hset(CYCLE_PROGRESS, mapping=progress)
            known: dict[Any, Any] = {
                f"{self._group}/{topic}/{partition}": events
                for (topic, partition), events in lag.items()
                if events is not None
            }
            if known:
                pipeline.hset(LAG, mapping=known)
            has_progress = is_due or not self._may_change_progress
            updated = [RECENT, *([PROGRESS] if has_progress else []), *known]
            pipeline.hset(WRITTEN_AT, mapping=dict.fromkeys(updated, time.time()))
            pipeline.set(self._key, self._writes + 1, ex=RETENTION_SECONDS, get=True)
            previous_write = pipeline.execute()[-1]
        self._writes += 1
        if is_due:
            self._may_change_progress, self._progress_at = False, time.monotonic()
        return previous_write is not None and int(previous_write) == self._writes - 1


def _write_recent(pipeline: "Pipeline", recent: Recent) -> None:
    if recent.users:
        pipeline.zadd(ACTIVE_USERS, dict(recent.users), gt=True)
    if recent.check_ins:
        pipeline.zadd(CHECK_INS, dict(recent.check_ins))
    for key in (ACTIVE_USERS, CHECK_INS):
        pipeline.zremrangebyscore(key, "-inf", time.time() - RETENTION_SECONDS)


def _recent(rows: Iterable[Row], since: float) -> Recent:
    """Return the recent activity in a batch. Older events are not parsed, which keeps backfills fast."""
    import msgspec

    users: dict[str, float] = {}
    check_ins: dict[str, float] = {}
    for row in rows:
        at = row["occurred_at"].timestamp()
        if at < since:
            continue
        user = msgspec.json.decode(row["data"]).get("user_id")
        # If the event's contract does not define user_id, a field of that name may have any value.
        if row["event_type"] not in USER_EVENTS and isinstance(user, str) and 0 < len(user) <= LONGEST_ID:
            users[user] = max(at, users.get(user, at))
        if row["event_type"] == CHECK_IN:
            check_ins[row["event_id"]] = at
    return Recent(users, check_ins)


@dataclass(frozen=True)
class Figure:
    """A figure and the time of its last update (seconds since the epoch).

    `value` is None if the last update was more than STALE_SECONDS ago or never happened.
    """

    value: Any
    as_of: float | None


def read_live(redis: "Redis") -> tuple[dict[str, Figure], dict[str, Figure]]:
    """Return the current figures by name, and the lag (events) of each consumer group.

    The figures are active_users (in the last 15 minutes), check_ins_per_minute (averaged over the last five minutes)
    and progress_by_cycle (by cycle id, the weighted mean score of its key results, 0-1).

    Raises:
        redis.RedisError: Redis is down.
    """
    now = time.time()
    written: Any = redis.hgetall(WRITTEN_AT)
    times = {name.decode(): float(at) for name, at in written.items()}
    progress: Any = redis.hgetall(CYCLE_PROGRESS)
    recent: Any = redis.zcount(CHECK_INS, now - 300, "+inf")
    figures = {
        "active_users": _figure(redis.zcount(ACTIVE_USERS, now - ACTIVE_SECONDS, "+inf"), times.get(RECENT), now),
        "check_ins_per_minute": _figure(recent / 5, times.get(RECENT), now),
        "progress_by_cycle": _figure(
            {cycle_id.decode(): float(ratio) for cycle_id, ratio in progress.items()}, times.get(PROGRESS), now
        ),
    }
    return figures, _lags(redis, times, now)


def _figure(value: Any, at: float | None, now: float) -> Figure:
    return Figure(value if at is not None and now - at <= STALE_SECONDS else None, at)


def _lags(redis: "Redis", times: Mapping[str, float], now: float) -> dict[str, Figure]:
    """Return the lag of each group, as of its least recently updated partition, without abandoned partitions."""
    lag: Any = redis.hgetall(LAG)
    by_group: dict[str, list[tuple[float, int]]] = {}
    for key, events in lag.items():
        name = key.decode()
        by_group.setdefault(name.partition("/")[0], []).append((times.get(name, 0.0), int(events)))
    figures = {}
    for group, partitions in by_group.items():
        newest = max(at for at, _ in partitions)
        current = [(at, events) for at, events in partitions if newest - at <= RETENTION_SECONDS]
        figures[group] = _figure(sum(events for _, events in current), min(at for at, _ in current) or None, now)
    return figures
