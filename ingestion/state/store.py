"""The primary database's state and the offsets it stands for, in one transaction.

Every event is first kept once (app.event), which nothing can hinder: a key result may come before its objective or its
owner, a correction before what it corrects. What depends on it is then projected anew from there, so that the tables
are the same in whatever order and however often events came:

    event -> withheld_because (what would move an entity to another organisation counts nowhere: ADR 18)
          -> newest_event (definitions) -> users; the views organisations, teams, cycles, objectives, key_results
          -> check_ins
          -> key_result_cycles (definitions, endings, check-ins; each key result in each of its cycles) -> okrs
    (any other event that names a user) -> user_activity
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from ingestion.batch import Span
from ingestion.state.event_types import (
    CHECK_IN,
    CYCLE,
    DEFINITIONS,
    FOLLOWED,
    KEY_RESULT,
    NAMES,
    NO_ACTIVITY,
    OBJECTIVE,
    ROOTS,
    TEAM,
    USER,
    Entity,
    ids_by_definition,
)
from lakehouse.contracts.cycle import DAYS_TO_CLOSE
from lakehouse.errors import RetryableError
from lakehouse.ids import natural_uuid
from lakehouse.logs import get_logger
from lakehouse.scoring import ACHIEVED_SCORE, TOLERANCE
from lakehouse.warehouse import read_sql

log = get_logger(__name__)

PACKAGE = "ingestion.state"
# Classes of SQLSTATE that blame what was sent: data, integrity, a limit of the program. All others may pass.
FAULTS_OF_A_ROW = ("22", "23", "54")
LOCK_SECONDS = 30
MISSING_AT_ONCE = 5_000

Connection = psycopg.Connection[tuple[object, ...]]
Row = Mapping[str, Any]  # a good event: lakehouse.lake's EVENT_COLUMNS


class OffsetsMovedError(RetryableError):
    """Another consumer has stored these offsets: throw the batch away and read the stored ones again."""


class Recent(NamedTuple):
    """When users were last seen and check-ins happened (seconds of the epoch), by user id and by event id."""

    users: Mapping[str, float]
    check_ins: Mapping[str, float]


class Met(NamedTuple):
    """Whether events are compared before they count: there are two organisations, or decisions on single events."""

    is_more_than_one: bool
    is_reviewed: bool


class Applied(NamedTuple):
    """What a batch changed: app.okrs, perhaps; and whether an event counts now that did not, or no longer."""

    has_progressed: bool
    is_recounted: bool


NOTHING = Applied(has_progressed=False, is_recounted=False)


class StateStore:
    """What one consumer group has stored of one Kafka cluster."""

    def __init__(self, connection: Connection, log_id: str, group: str) -> None:
        self._connection = connection
        self._who = {"log_id": log_id, "group": group}

    def next_offset(self, topic: str, partition: int) -> int | None:
        """Return the next offset to read, None when nothing of the partition was ever stored."""
        with self._connection.transaction():
            row = self._run("select_offset", topic=topic, partition=partition).fetchone()
        return None if row is None else int(str(row[0]))

    def apply(self, topic: str, rows: Sequence[Row], spans: Mapping[int, Span]) -> Applied:
        """Store the events and that `spans` were read, or nothing; return what may have changed.

        An event that PostgreSQL refuses is set aside in app.refused_event and hinders no other.

        Raises:
            OffsetsMovedError: the stored offsets are not where this batch starts.
            RetryableError: another consumer holds the lock for too long; nothing was stored.
            psycopg.Error: the database failed; nothing was stored.
        """
        try:
            with self._connection.transaction():
                self._run("set_lock_timeout", timeout=f"{LOCK_SECONDS}s")
                self._run("lock_group")
                self._move_offsets(topic, spans)
                return self._keep(topic, rows)
        except psycopg.errors.LockNotAvailable as error:
            raise RetryableError(
                f"Another okr-state has held the lock for {LOCK_SECONDS} s. Nothing was stored; try again."
            ) from error

    def project_missing(self) -> int:
        """Project what a revision of the schema says, and key results without a row by cycle; return how many.

        Raises:
            RetryableError: another consumer holds the lock for too long.
            psycopg.Error: the database failed.
        """
        projected = 0
        for project in (self._project_named, self._project_unprojected):
            while True:
                with self._connection.transaction():
                    self._run("lock_group")
                    done = project()
                if not done:
                    break
                projected += done
        return projected

    def _project_named(self) -> int:
        """Decide of some entities of app.to_project which of their events count, and project them."""
        named = self._entities("claim_unprojected", limit=MISSING_AT_ONCE)
        if named:
            more_than_one = self._met().is_more_than_one
            ids = {NAMES[event_type]: ids for event_type, ids in ids_by_definition(named).items()}
            withheld = self._withhold(ids, is_more_than_one=more_than_one)
            self._project([*named, *withheld], withheld, is_more_than_one=more_than_one)
        return len(named)

    def _project_unprojected(self) -> int:
        missing = self._subjects("key_results_without_cycles", limit=MISSING_AT_ONCE)
        if missing:
            self._project_key_results(missing)
        return len(missing)

    def recent(self, since: float) -> Recent:
        """Return who was active and which check-ins happened after `since` (seconds of the epoch)."""
        with self._connection.transaction():
            users, check_ins = (
                {str(name): float(str(at)) for name, at in self._run(query, since=since)}
                for query in ("recent_users", "recent_check_ins")
            )
        return Recent(users, check_ins)

    def cycle_progress(self) -> dict[str, float]:
        """Return the mean score (0-1) of each cycle's key results, by their weights."""
        with self._connection.transaction():
            return {str(cycle_id): float(str(ratio)) for cycle_id, ratio in self._run("cycle_progress")}

    def _move_offsets(self, topic: str, spans: Mapping[int, Span]) -> None:
        for partition, span in spans.items():
            name = "insert_offset" if span.start is None else "advance_offset"
            place = {"topic": topic, "partition": partition, "start": span.start, "next_offset": span.next}
            if self._run(name, **place).rowcount != 1:
                raise OffsetsMovedError(
                    f"{topic}/{partition}: expected {span.start} as the stored offset, but another consumer moved it."
                )

    def _keep(self, topic: str, rows: Sequence[Row]) -> Applied:
        """Keep the rows and project what they change; halve them where one is refused, down to that one."""
        try:
            with self._connection.transaction():  # a savepoint
                return self._keep_all(rows)
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] not in FAULTS_OF_A_ROW:
                raise
            if len(rows) == 1:
                self._refuse(topic, rows[0], error)
                return NOTHING
        middle = len(rows) // 2
        halves = [self._keep(topic, half) for half in (rows[:middle], rows[middle:])]
        return Applied(*(any(either) for either in zip(*halves, strict=True)))

    def _refuse(self, topic: str, row: Row, error: psycopg.Error) -> None:
        place = {"partition": row["kafka_partition"], "offset": row["kafka_offset"], "event_id": row["event_id"]}
        reason = _reason(error)
        log.error("PostgreSQL refused an event, it is set aside", topic=topic, reason=reason, **place)
        self._run("insert_rejected_event", topic=topic, reason=reason, **place)

    def _keep_all(self, rows: Sequence[Row]) -> Applied:
        # Who did what is kept is found there, as long as it counts.
        active = [row for row in rows if row["event_type"] not in NO_ACTIVITY and '"user_id"' in row["data"]]
        if active:
            self._run("upsert_activity", **_columns(active, ("occurred_at", "data")))
        followed = [row for row in rows if row["event_type"] in FOLLOWED]
        return self._keep_followed(followed) if followed else NOTHING

    def _keep_followed(self, rows: Sequence[Row]) -> Applied:
        roots = any(row["event_type"] in ROOTS for row in rows)
        was_more_than_one = roots and self._met().is_more_than_one
        changed = self._entities("insert_events", **_columns(rows, EVENT_FIELDS))
        met = self._met()
        is_all_compared = met.is_more_than_one or met.is_reviewed
        reused = [] if is_all_compared else self._reused(changed)
        if not is_all_compared and not reused:
            return Applied(self._project(changed), is_recounted=False)
        changed += self._entities("apply_reviews")
        if roots and met.is_more_than_one and not was_more_than_one:
            changed += self._entities("teams_and_cycles")  # nothing was compared before
        compared = changed if is_all_compared else reused
        named = {NAMES[event_type]: ids for event_type, ids in ids_by_definition(compared).items()}
        withheld = self._withhold(named, is_more_than_one=met.is_more_than_one)
        progressed = self._project([*changed, *withheld], withheld, is_more_than_one=met.is_more_than_one)
        return Applied(progressed, is_recounted=bool(withheld))

    def _reused(self, changed: Sequence[Entity]) -> list[Entity]:
        """Return the check-ins whose id stands for several key results: all that one organisation has to compare."""
        ids = [entity_id for event_type, entity_id in changed if event_type == CHECK_IN]
        return [(CHECK_IN, each) for each in self._subjects("ambiguous_check_ins", ids=ids)] if ids else []

    def _withhold(self, named: Mapping[str, Sequence[str]], *, is_more_than_one: bool) -> list[Entity]:
        """Decide whether the events that these entities bear on count; return what that changes."""
        compared = self._entities("dependent_entities", **named)
        nouns, ids = zip(*compared, strict=True) if compared else ((), ())
        return self._entities("withhold_events", nouns=list(nouns), ids=list(ids), is_more_than_one=is_more_than_one)

    def _project(
        self, changed: Sequence[Entity], withheld: Sequence[Entity] = (), *, is_more_than_one: bool = False
    ) -> bool:
        """Project what depends on these entities; of those `withheld` nothing may be left that counts."""
        ids, lost = ids_by_definition(changed), ids_by_definition(withheld)
        defined = [each for each in changed if each[0] in DEFINITIONS]
        if defined:
            event_types, entity_ids = (list(each) for each in zip(*defined, strict=True))
            self._run("project_definitions", event_types=event_types, entity_ids=entity_ids)
            if withheld:
                self._run("delete_definitions", event_types=event_types, entity_ids=entity_ids)
        checked = self._subjects("project_check_ins", ids=ids[CHECK_IN]) if ids[CHECK_IN] else []
        if lost[CHECK_IN]:
            checked += self._subjects("delete_check_ins", ids=lost[CHECK_IN])
        self._project_users(ids[USER], teams=ids[TEAM] if is_more_than_one else [])
        if lost[KEY_RESULT]:
            self._run("delete_okrs", subjects=lost[KEY_RESULT])
        return self._project_okrs(
            users=ids[USER],
            teams=ids[TEAM],
            cycles=ids[CYCLE],
            objectives=ids[OBJECTIVE],
            key_results=[*ids[KEY_RESULT], *checked],
        )

    def _project_users(self, defined: Sequence[str], teams: Sequence[str]) -> None:
        if not defined and not teams:
            return
        users = self._subjects("affected_users", users=defined, teams=teams)
        self._run("delete_users", users=defined)
        if users:
            ids = [natural_uuid("user", each) for each in users]
            self._run("release_emails", ids=ids)
            self._run("project_users", subjects=users, ids=ids)

    def _project_okrs(self, **changed: Sequence[str]) -> bool:
        key_results = self._subjects("affected_key_results", **changed) if any(changed.values()) else []
        if key_results:
            self._project_key_results(key_results)
        return bool(key_results)

    def _project_key_results(self, key_results: Sequence[str]) -> None:
        ids = [natural_uuid("key_result", each) for each in key_results]
        self._run("delete_key_result_cycles", subjects=key_results)
        self._run("project_key_result_cycles", subjects=key_results, days_to_close=DAYS_TO_CLOSE)
        self._run("project_okrs", subjects=key_results, ids=ids, achieved_score=ACHIEVED_SCORE, tolerance=TOLERANCE)

    def _met(self) -> Met:
        is_more_than_one, is_reviewed = self._run("organisations_seen").fetchone() or (False, False)
        return Met(bool(is_more_than_one), bool(is_reviewed))

    def _entities(self, query: str, **parameters: Any) -> list[Entity]:
        rows = self._run(query, **parameters).fetchall()
        return [(str(event_type), str(entity_id)) for event_type, entity_id in rows]

    def _subjects(self, query: str, **parameters: Any) -> list[str]:
        return [str(subject) for (subject,) in self._run(query, **parameters).fetchall()]

    def _run(self, query: str, **parameters: Any) -> psycopg.Cursor[tuple[object, ...]]:
        return self._connection.execute(read_sql(PACKAGE, query), parameters | self._who)


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
    """Return why a row was refused, without the detail, which may be the row, with an e-mail address in it."""
    parts = (error.sqlstate, error.diag.message_primary, error.diag.constraint_name)
    return ": ".join(part for part in parts if part)


def _columns(rows: Iterable[Row], names: Sequence[str]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in names}
