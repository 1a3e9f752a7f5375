"""Real-time figures in Redis: who is active, check-ins a minute, each cycle's progress, how far the consumer is behind.

A cache, never a source: Redis may be flushed, killed or away, the state consumer goes on, and the figures are made
again from the primary database as soon as Redis answers. Members are event ids and user ids, so an event that is read
twice counts once.

How a loss is noticed: with each write the consumer leaves the number of that write under a key of its own, and reads
what was there before. Whatever Redis lost, by a flush, a restart from an old dump or a write that failed, the number
is not the one before, and everything is written anew. At rest this happens once a second, so a flush heals by itself.

How several consumers keep out of each other's way: whatever changes more than a lag also changes one number that they
share. Who replaces figures by what the database said watches that number from before the question on. If another wrote
in between, Redis refuses the write, and the database is asked again.
"""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ingestion.state.event_types import ABOUT_A_USER, CHECK_IN, DEACTIVATED
from ingestion.state.store import Recent, Row
from lakehouse.logs import get_logger

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

log = get_logger(__name__)

ACTIVE_USERS = "okr:active_users"  # sorted set: user id -> when last seen
CHECK_INS = "okr:check_ins"  # sorted set: event id -> when it happened
CYCLE_PROGRESS = "okr:cycle_progress"  # hash: cycle id -> mean score of its key results, 0-1
LAG = "okr:consumer_lag"  # hash: group/topic/partition -> events not yet read
WRITTEN_AT = "okr:figures_written_at"  # hash: recent, progress or a place of the lag -> when it was last known to hold
WRITES = "okr:figures:"  # and the writer's id: number of its last write
CHANGES = "okr:figures_changes"  # how often any writer changed what all share
RECENT, PROGRESS = "recent", "progress"
STALE_SECONDS = 30  # a consumer writes at least once a second
TRIES = 5
ACTIVE_SECONDS = 900
KEPT_SECONDS = 3600
LONGEST_ID = 128
PROGRESS_SECONDS = 0.5  # progress is computed at most so often

Lag = Mapping[tuple[str, int], int | None]  # (topic, partition) -> events, None: not known yet


class Source(Protocol):
    """Where the figures are made again from."""

    def recent(self, since: float) -> Recent:
        """Return who was active and which check-ins happened after `since` (seconds of the epoch)."""

    def cycle_progress(self) -> dict[str, float]:
        """Return the mean score of each cycle."""


def open_redis(url: str) -> "Redis":
    """Return a client that never waits for long."""
    from redis import Redis

    return Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=2.0)


class RealtimeFigures:
    """What one state consumer writes after each batch, and once a second at rest."""

    def __init__(self, redis: "Redis", group: str, source: Source) -> None:
        self._redis, self._group, self._source = redis, group, source
        self._key = f"{WRITES}{uuid.uuid4().hex}"
        self._writes = 0
        self._is_whole = False  # whether Redis is known to hold all that was written
        self._is_away = False
        self._recent = Recent({}, {})
        self._has_progressed = True
        self._is_recounted = False  # then what is recent is asked of the database again
        self._progress_at = 0.0

    def note(self, rows: Sequence[Row], *, progressed: bool, recounted: bool = False) -> None:
        """Take note of a batch that was stored; `write` then writes it.

        `recounted`: an event counts now that did not, or no longer; then the database is asked what is recent.
        """
        recent = _recent(rows, time.time() - KEPT_SECONDS)
        users = dict(self._recent.users)
        for user, at in recent.users.items():
            users[user] = max(at, users.get(user, at))
        self._recent = Recent(users, {**self._recent.check_ins, **recent.check_ins})
        self._is_recounted |= recounted or any(row["event_type"] == DEACTIVATED for row in rows)
        self._has_progressed |= progressed

    def write(self, lag: Lag) -> None:
        """Write what was noted and the lag; without Redis, log that once and go on.

        Raises:
            psycopg.Error: the figures could not be made again, because the primary database failed.
        """
        from redis import RedisError

        try:
            if self._is_whole and not self._is_recounted:
                self._is_whole = self._write_unhindered(lag)
            self._is_whole &= not self._is_recounted
            if not self._is_whole:
                log.info("real-time figures are made again from the primary database")
                self._has_progressed, self._progress_at = True, 0.0
                self._is_whole = self._write_unhindered(lag, anew=True)
        except RedisError as error:
            if not self._is_away:
                log.warning("real-time figures are not kept while Redis is away", error=str(error))
            self._is_away, self._is_whole = True, False
        else:
            self._is_away, self._is_recounted = False, False
        self._recent = Recent({}, {})  # written, or in the primary database for when Redis is back

    def _write_unhindered(self, lag: Lag, *, anew: bool = False) -> bool:
        """Write, again where another consumer wrote meanwhile; return whether Redis now holds all."""
        from redis import WatchError

        for _ in range(TRIES):
            try:
                return self._write(lag, anew=anew) or anew
            except WatchError:
                continue
        return False

    def _write(self, lag: Lag, *, anew: bool) -> bool:
        """Write in one transaction; return whether Redis still held the write before."""
        with self._redis.pipeline(transaction=True) as pipeline:
            is_due = self._has_progressed and time.monotonic() >= self._progress_at + PROGRESS_SECONDS
            if anew or is_due:
                pipeline.watch(CHANGES)  # type: ignore[no-untyped-call]
            recent = self._source.recent(time.time() - KEPT_SECONDS) if anew else self._recent
            progress: dict[Any, Any] | None = dict(self._source.cycle_progress()) if is_due else None
            pipeline.multi()
            if anew or is_due or recent.users or recent.check_ins:
                pipeline.incr(CHANGES)
            if anew:
                pipeline.delete(ACTIVE_USERS, CHECK_INS)
            _write_recent(pipeline, recent)
            if progress is not None:
                pipeline.delete(CYCLE_PROGRESS)
                if progress:
                    pipeline.hset(CYCLE_PROGRESS, mapping=progress)
            known: dict[Any, Any] = {
                f"{self._group}/{topic}/{number}": events
                for (topic, number), events in lag.items()
                if events is not None
            }
            if known:
                pipeline.hset(LAG, mapping=known)
            has_progress = is_due or not self._has_progressed
            hold = [RECENT, *([PROGRESS] if has_progress else []), *known]
            pipeline.hset(WRITTEN_AT, mapping=dict.fromkeys(hold, time.time()))
            pipeline.set(self._key, self._writes + 1, ex=KEPT_SECONDS, get=True)
            before = pipeline.execute()[-1]
        self._writes += 1
        if is_due:
            self._has_progressed, self._progress_at = False, time.monotonic()
        return before is not None and int(before) == self._writes - 1


def _write_recent(pipeline: "Pipeline", recent: Recent) -> None:
    if recent.users:
        pipeline.zadd(ACTIVE_USERS, dict(recent.users), gt=True)
    if recent.check_ins:
        pipeline.zadd(CHECK_INS, dict(recent.check_ins))
    for key in (ACTIVE_USERS, CHECK_INS):
        pipeline.zremrangebyscore(key, "-inf", time.time() - KEPT_SECONDS)


def _recent(rows: Iterable[Row], since: float) -> Recent:
    """Return what of a batch is recent. Only its data is parsed: a backfill is not."""
    import msgspec

    users: dict[str, float] = {}
    check_ins: dict[str, float] = {}
    for row in rows:
        at = row["occurred_at"].timestamp()
        if at < since:
            continue
        user = msgspec.json.decode(row["data"]).get("user_id")
        # In an event whose contract knows no user it is an unknown field, and may be anything.
        if row["event_type"] not in ABOUT_A_USER and isinstance(user, str) and 0 < len(user) <= LONGEST_ID:
            users[user] = max(at, users.get(user, at))
        if row["event_type"] == CHECK_IN:
            check_ins[row["event_id"]] = at
    return Recent(users, check_ins)


@dataclass(frozen=True)
class Figure:
    """What was known, and when it was last known to hold (seconds of the epoch).

    `value` is None where that is more than STALE_SECONDS ago: nobody knows then.
    """

    value: Any
    as_of: float | None


def read_live(redis: "Redis") -> tuple[dict[str, Figure], dict[str, Figure]]:
    """Return what is known now by name, and the lag (events) of each consumer group.

    active_users (last 15 minutes), check_ins_per_minute (mean of the last five), progress_by_cycle (mean score of a
    cycle's key results, 0-1, by cycle id).

    Raises:
        redis.RedisError: Redis is away.
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
    """Return each group's lag. It holds since its partitions' oldest time; one that is gone for good is left out."""
    lag: Any = redis.hgetall(LAG)
    by_group: dict[str, list[tuple[float, int]]] = {}
    for place, events in lag.items():
        name = place.decode()
        by_group.setdefault(name.partition("/")[0], []).append((times.get(name, 0.0), int(events)))
    figures = {}
    for group, partitions in by_group.items():
        newest = max(at for at, _ in partitions)
        held = [(at, events) for at, events in partitions if newest - at <= KEPT_SECONDS]
        figures[group] = _figure(sum(events for _, events in held), min(at for at, _ in held) or None, now)
    return figures
