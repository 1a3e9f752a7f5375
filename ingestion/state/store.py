"""The primary database's state and the offsets it stands for, in one transaction.

Every event is first kept as the newest of its subject (app.newest_event), which nothing can hinder: a key result may
come before its objective or its owner. app.users and app.okrs are then projected from there for whatever changed, so
they are the same in whatever order events came.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from ingestion.batch import Span
from ingestion.events import DecodedEvent
from lakehouse.errors import RetryableError
from lakehouse.ids import natural_uuid
from lakehouse.warehouse import read_sql

PACKAGE = "ingestion.state"
USER = "okr.user.defined.v1"
OBJECTIVE = "okr.objective.defined.v1"
KEY_RESULT = "okr.key_result.defined.v1"
CHECK_IN = "okr.check_in.recorded.v1"  # its subject is the key result: the newest one is the key result's value
FINAL_CHECK_IN = f"{CHECK_IN}/final"  # no event's type: the newest check-in that closes its key result is kept under it
FOLLOWED = frozenset({USER, OBJECTIVE, KEY_RESULT, CHECK_IN})

Connection = psycopg.Connection[tuple[object, ...]]


class OvertakenError(RetryableError):
    """Another consumer has stored these offsets: throw the batch away and read the stored ones again."""


class PlacedEvent(NamedTuple):
    """An event and its place, which breaks ties between events of one moment."""

    partition: int
    offset: int
    event: DecodedEvent


class StateStore:
    """What one consumer group has stored of one Kafka cluster."""

    def __init__(self, connection: Connection, cluster_id: str, group: str) -> None:
        self._connection = connection
        self._who = {"cluster_id": cluster_id, "group": group}

    def next_offset(self, topic: str, partition: int) -> int | None:
        """Return the next offset to read, None when nothing of the partition was ever stored."""
        with self._connection.transaction():
            row = self._run("next_offset", topic=topic, partition=partition).fetchone()
        return None if row is None else int(str(row[0]))

    def apply(self, topic: str, events: Sequence[PlacedEvent], spans: Mapping[int, Span]) -> None:
        """Store the events and that `spans` were read, or nothing.

        Raises:
            OvertakenError: the stored offsets are not where this batch starts.
            psycopg.Error: the database failed; nothing was stored.
        """
        with self._connection.transaction():
            self._move_offsets(topic, spans)
            changed = self._keep_newest(events)
            users = self._subjects("affected_users", changed)
            if users:
                ids = [natural_uuid("user", each) for each in users]
                self._run("release_emails", ids=ids)
                self._run("project_users", subjects=users, ids=ids)
            key_results = self._subjects("affected_key_results", changed)
            if key_results:
                ids = [natural_uuid("key_result", each) for each in key_results]
                self._run("project_okrs", subjects=key_results, ids=ids)

    def _move_offsets(self, topic: str, spans: Mapping[int, Span]) -> None:
        for partition, span in spans.items():
            name = "first_offset" if span.start is None else "move_offset"
            place = {"topic": topic, "partition": partition, "start": span.start, "next_offset": span.next}
            if self._run(name, **place).rowcount != 1:
                raise OvertakenError(
                    f"{topic}/{partition}: expected {span.start} as the stored offset, but another consumer moved it."
                )

    def _keep_newest(self, events: Sequence[PlacedEvent]) -> list[tuple[str, str]]:
        """Store the newest event of each subject and return those (event_type, subject) that changed."""
        followed = [(kept_as, placed) for placed in events for kept_as in _kept_as(placed.event)]
        rows = [
            {
                "event_type": kept_as,
                "subject": event.envelope.subject,
                "occurred_at": event.envelope.time.isoformat(),
                "kafka_partition": partition,
                "kafka_offset": offset,
                "data": event.data,
            }
            for kept_as, (partition, offset, event) in followed
        ]
        if not rows:
            return []
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        changed = self._run("keep_newest", **columns).fetchall()
        return [(str(event_type), str(subject)) for event_type, subject in changed]

    def _subjects(self, query: str, changed: Iterable[tuple[str, str]]) -> list[str]:
        by_type: dict[str, list[str]] = {each: [] for each in (*FOLLOWED, FINAL_CHECK_IN)}
        for event_type, subject in changed:
            by_type[event_type].append(subject)
        found = self._run(
            query,
            users=by_type[USER],
            objectives=by_type[OBJECTIVE],
            key_results=sorted({*by_type[KEY_RESULT], *by_type[CHECK_IN], *by_type[FINAL_CHECK_IN]}),
        )
        return [str(subject) for (subject,) in found.fetchall()]

    def _run(self, query: str, **parameters: Any) -> psycopg.Cursor[tuple[object, ...]]:
        return self._connection.execute(read_sql(PACKAGE, query), parameters | self._who)


def _kept_as(event: DecodedEvent) -> tuple[str, ...]:
    """Return the types under which app.newest_event keeps an event."""
    name = event.envelope.type
    if name not in FOLLOWED:
        return ()
    return (name, FINAL_CHECK_IN) if getattr(event.payload, "is_final", False) else (name,)
