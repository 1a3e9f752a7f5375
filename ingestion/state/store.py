"""Store events and consumer offsets in one transaction, and update the state tables (schema `app`).

Events on which the tables depend are first stored in app.event. They may arrive in any order: a key result before its
objective or its owner, and a correction before the check-in that it corrects. The other tables are then computed from
app.event (see `projection`). Most other events that name a user update app.user_activity.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from ingestion.batch import Span
from ingestion.state.followed_events import NO_STORED_ACTIVITY, PROJECTED, ROOTS
from ingestion.state.projection import Connection, Projection
from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger

log = get_logger(__name__)

# SQLSTATE classes of errors caused by the data: data exception, integrity constraint violation, program limit exceeded.
# Errors of all other classes are considered transient.
DATA_ERRORS = ("22", "23", "54")
LOCK_SECONDS = 30
PROJECTION_BATCH = 5_000

Row = Mapping[str, Any]  # a valid event: lakehouse.lake's EVENT_COLUMNS


class OffsetsMovedError(RetryableError):
    """Another consumer committed first. The caller must discard the batch and continue from the stored offsets."""


class Recent(NamedTuple):
    """The last activity of users by user id, and the times of check-ins by event id (seconds since the epoch)."""

    users: Mapping[str, float]
    check_ins: Mapping[str, float]


class Applied(NamedTuple):
    """The effects of a batch.

    `may_change_progress`: app.okrs may have changed. `may_change_activity`: events were withheld or released, so that
    figures of recent activity may have changed.
    """

    may_change_progress: bool
    may_change_activity: bool


NO_EFFECT = Applied(may_change_progress=False, may_change_activity=False)


class StateStore:
    """The stored events and offsets of one consumer group in one Kafka cluster."""

    def __init__(self, connection: Connection, log_id: str, group: str) -> None:
        self._connection = connection
        self._projection = Projection(connection, {"log_id": log_id, "group": group})

    def next_offset(self, topic: str, partition: int) -> int | None:
        """Return the next offset to read, or None if nothing from the partition has been stored yet."""
        with self._connection.transaction():
            row = self._projection.run("select_offset", topic=topic, partition=partition).fetchone()
        return None if row is None else int(str(row[0]))

    def apply(self, topic: str, rows: Sequence[Row], spans: Mapping[int, Span]) -> Applied:
        """Store the events and advance the offsets to the ends of `spans` in one transaction; return the effects.

        An event that PostgreSQL rejects is recorded in app.refused_event and does not block the others.

        Raises:
            OffsetsMovedError: the stored offsets do not match the start of this batch.
            RetryableError: another consumer has held the lock for too long; nothing was stored.
            psycopg.Error: the database failed; nothing was stored.
        """
        try:
            with self._connection.transaction():
                self._projection.run("set_lock_timeout", timeout=f"{LOCK_SECONDS}s")
                self._projection.run("lock_group")
                self._move_offsets(topic, spans)
                return self._store(topic, rows)
        except psycopg.errors.LockNotAvailable as error:
            raise RetryableError(
                f"Another state consumer has held the lock for {LOCK_SECONDS} s. Nothing was stored; try again."
            ) from error

    def project_missing(self) -> int:
        """Project the entities in app.to_project and the key results without cycles; return their number.

        Raises:
            RetryableError: another consumer has held the lock for too long.
            psycopg.Error: the database failed.
        """
        projected = 0
        for project in (self._project_listed, self._project_without_cycles):
            while True:
                with self._connection.transaction():
                    self._projection.run("lock_group")
                    done = project()
                if not done:
                    break
                projected += done
        return projected

    def _project_listed(self) -> int:
        """Project a batch of the entities in app.to_project, after determining their counted events."""
        projection = self._projection
        listed = projection.entities("claim_unprojected", limit=PROJECTION_BATCH)
        if listed:
            has_several = projection.reasons_to_compare().has_several_organisations
            withheld = projection.withhold(listed, has_several_organisations=has_several)
            projection.project([*listed, *withheld], withheld, has_several_organisations=has_several)
        return len(listed)

    def _project_without_cycles(self) -> int:
        missing = self._projection.subjects("key_results_without_cycles", limit=PROJECTION_BATCH)
        if missing:
            self._projection.project_key_results(missing)
        return len(missing)

    def recent(self, since: float) -> Recent:
        """Return the users active and the check-ins made after `since` (seconds since the epoch)."""
        with self._connection.transaction():
            users, check_ins = (
                {str(name): float(str(at)) for name, at in self._projection.run(query, since=since)}
                for query in ("recent_users", "recent_check_ins")
            )
        return Recent(users, check_ins)

    def cycle_progress(self) -> dict[str, float]:
        """Return the weighted mean score (0-1) of each cycle's key results."""
        with self._connection.transaction():
            return {str(cycle_id): float(str(ratio)) for cycle_id, ratio in self._projection.run("cycle_progress")}

    def _move_offsets(self, topic: str, spans: Mapping[int, Span]) -> None:
        for partition, span in spans.items():
            name = "insert_offset" if span.start is None else "advance_offset"
            parameters = {"topic": topic, "partition": partition, "start": span.start, "next_offset": span.next}
            if self._projection.run(name, **parameters).rowcount != 1:
                raise OffsetsMovedError(
                    f"{topic}/{partition}: expected stored offset {span.start}, but another consumer committed first."
                )

    def _store(self, topic: str, rows: Sequence[Row]) -> Applied:
        """Store and project the rows; if PostgreSQL rejects one, bisect the batch to isolate it."""
        try:
            with self._connection.transaction():  # a savepoint
                return self._store_batch(rows)
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] not in DATA_ERRORS:
                raise
            if len(rows) == 1:
                self._reject(topic, rows[0], error)
                return NO_EFFECT
        middle = len(rows) // 2
        halves = [self._store(topic, half) for half in (rows[:middle], rows[middle:])]
        return Applied(*(any(either) for either in zip(*halves, strict=True)))

    def _reject(self, topic: str, row: Row, error: psycopg.Error) -> None:
        position = {"partition": row["kafka_partition"], "offset": row["kafka_offset"], "event_id": row["event_id"]}
        reason = _reason(error)
        log.error("PostgreSQL rejected an event", topic=topic, reason=reason, **position)
        self._projection.run("insert_rejected_event", topic=topic, reason=reason, **position)

    def _store_batch(self, rows: Sequence[Row]) -> Applied:
        # ACTIONS do not store activity here, because it is read from their counted events in app.event.
        active = [row for row in rows if row["event_type"] not in NO_STORED_ACTIVITY and '"user_id"' in row["data"]]
        if active:
            self._projection.run("upsert_activity", **_columns(active, ("occurred_at", "data")))
        followed = [row for row in rows if row["event_type"] in PROJECTED]
        return self._store_followed(followed) if followed else NO_EFFECT

    def _store_followed(self, rows: Sequence[Row]) -> Applied:
        projection = self._projection
        has_roots = any(row["event_type"] in ROOTS for row in rows)
        had_several = has_roots and projection.reasons_to_compare().has_several_organisations
        changed = projection.entities("insert_events", **_columns(rows, EVENT_FIELDS))
        has_several, has_reviews = projection.reasons_to_compare()
        is_all_compared = has_several or has_reviews
        ambiguous = [] if is_all_compared else projection.ambiguous(changed)
        if not is_all_compared and not ambiguous:
            return Applied(projection.project(changed), may_change_activity=False)
        changed += projection.entities("apply_reviews")
        if has_several and has_roots and not had_several:
            changed += projection.entities("teams_and_cycles")  # their events have not been compared yet
        compared = changed if is_all_compared else ambiguous
        withheld = projection.withhold(compared, has_several_organisations=has_several)
        may_change_progress = projection.project([*changed, *withheld], withheld, has_several_organisations=has_several)
        return Applied(may_change_progress, may_change_activity=bool(withheld))


EVENT_FIELDS = (
    "event_type",
    "subject",
    "event_id",
    "occurred_at",
    "logged_at",
    "kafka_partition",
    "kafka_offset",
    "data",
)


def _reason(error: psycopg.Error) -> str:
    """Return why PostgreSQL rejected a row, without the error's detail, which may contain personal data."""
    parts = (error.sqlstate, error.diag.message_primary, error.diag.constraint_name)
    return ": ".join(part for part in parts if part)


def _columns(rows: Iterable[Row], names: Sequence[str]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in names}
