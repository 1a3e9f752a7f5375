"""Store write requests and the versions of entities in PostgreSQL (serving.write_request, serving.written_event)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from lakehouse.contracts import contract_of
from serving.personal_fields import PersonalFields
from serving.publication_reader import Connection, Reader, Row, Warehouse

PACKAGE = "serving.writes"
Entity = tuple[str, str]  # event type and entity id


@dataclass(frozen=True)
class Version:
    """The newest version of an entity; `event_id` is its entity tag."""

    event_id: UUID
    occurred_at: datetime
    data: dict[str, Any]


@dataclass(frozen=True)
class StoredEvent:
    """An event of a stored request. `unreadable` names the personal fields that cannot be read, None in `data`."""

    event_id: UUID
    event_type: str
    entity_id: str
    occurred_at: datetime
    data: dict[str, Any]
    unreadable: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StoredRequest:
    """A stored request with its events."""

    request_id: int
    operation: str
    body: Any
    is_persisted: bool
    is_acknowledged: bool
    rejected_because: str | None
    events: list[StoredEvent]


class WriteStore:
    """Reads and writes requests."""

    def __init__(self, warehouse: Warehouse, fields: PersonalFields | None = None) -> None:
        """Encrypt and decrypt personal fields with `fields`; without it, they are stored in plaintext."""
        self._warehouse = warehouse
        self.fields = fields or PersonalFields()

    def find(self, username: str, idempotency_key: str) -> StoredRequest | None:
        """Return the request for which an account first used an idempotency key, or None if the key is new."""
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            rows = reader.rows(PACKAGE, "request_by_key", {"username": username, "idempotency_key": idempotency_key})
            if not rows:
                return None
            return self._stored(rows[0], reader)

    def unfinished(self, entities: Iterable[Entity]) -> list[tuple[str, StoredRequest]]:
        """Return the requests that write the entities and may never have been persisted, with their accounts."""
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            rows = reader.rows(PACKAGE, "unfinished_requests", _entity_values(entities))
            return [(row["username"], self._stored(row, reader)) for row in rows]

    def versions(self, entities: Iterable[Entity]) -> dict[Entity, Version]:
        """Return the newest versions of those entities that have one."""
        with self._warehouse.connection() as connection:
            return self.newest_versions(connection, entities)

    def newest_versions(self, connection: Connection, entities: Iterable[Entity]) -> dict[Entity, Version]:
        """Return the newest versions of those entities that have one, in the transaction of the connection."""
        wanted = sorted(set(entities))
        if not wanted:
            return {}
        rows = Reader(connection).rows(PACKAGE, "newest_versions", _entity_values(wanted))
        contents = self.fields.decrypted([(row["event_type"], row["data"]) for row in rows])
        return {
            (row["event_type"], row["entity_id"]): Version(row["event_id"], row["occurred_at"], data)
            for row, data in zip(rows, contents, strict=True)
        }

    def insert(
        self, connection: Connection, caller_and_key: Row, operation: str, body: Any, events: Sequence[StoredEvent]
    ) -> StoredRequest | None:
        """Store a request and its events; return None if its idempotency key is already stored."""
        reader = Reader(connection)
        contents = self.fields.encrypted([(event.event_type, event.data) for event in events])
        stored_body = Jsonb(_with_personal_fields(body, events, contents))
        rows = reader.rows(PACKAGE, "insert_request", {**caller_and_key, "operation": operation, "body": stored_body})
        if not rows:
            return None
        request_id = rows[0]["request_id"]
        for item, (event, data) in enumerate(zip(events, contents, strict=True)):
            values = {
                "event_id": event.event_id, "request_id": request_id, "item": item, "event_type": event.event_type,
                "entity_id": event.entity_id, "occurred_at": event.occurred_at, "data": Jsonb(data),
            }  # fmt: skip
            reader.rows(PACKAGE, "insert_event", values)
        return StoredRequest(request_id, operation, body, False, False, None, list(events))

    def known_check_ins(self, check_in_ids: Sequence[str]) -> set[str]:
        """Return which of the check-ins have been recorded, by this API or another source."""
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "known_check_ins", {"check_in_ids": list(check_in_ids)})
        return {row["check_in_id"] for row in rows}

    def mark_persisted(self, request_id: int, *, is_acknowledged: bool) -> None:
        """Record that a request's events are on disk, and whether the broker has acknowledged them."""
        self._run("mark_persisted", {"request_id": request_id, "is_acknowledged": is_acknowledged})

    def mark_rejected(self, request_id: int, reason: str) -> None:
        """Record why a request's events were permanently rejected."""
        self._run("mark_rejected", {"request_id": request_id, "reason": reason})

    def event_status(self, event_id: UUID) -> Row | None:
        """Return an event of this API with its progress, or None if this API did not write it."""
        rows = self._run("event_status", {"event_id": event_id})
        return rows[0] if rows else None

    def transaction(self) -> Any:
        """Return a context that yields a connection for one transaction."""
        return self._warehouse.connection()

    def _stored(self, row: Row, reader: Reader) -> StoredRequest:
        request = {"request_id": row["request_id"]}
        events = [StoredEvent(**each) for each in reader.rows(PACKAGE, "events_of_request", request)]
        contents = self.fields.readable([(event.event_type, event.data) for event in events])
        events = [
            replace(event, data=data, unreadable=_unreadable(event, data))
            for event, data in zip(events, contents, strict=True)
        ]
        return StoredRequest(
            row["request_id"], row["operation"], _with_personal_fields(row["body"], events, contents),
            row["persisted_at"] is not None, row["is_acknowledged"], row["rejected_because"], events,
        )  # fmt: skip

    def _run(self, query: str, values: Row) -> list[Row]:
        with self._warehouse.connection() as connection:
            return Reader(connection).rows(PACKAGE, query, values)


def lock(connection: Connection, entities: Iterable[Entity]) -> None:
    """Wait for other requests that write the same entities, and block new ones until the end of the transaction."""
    names = [f"{event_type} {entity_id}" for event_type, entity_id in entities]
    Reader(connection).rows(PACKAGE, "lock_entities", {"entities": names})


def _entity_values(entities: Iterable[Entity]) -> Row:
    wanted = list(entities)
    return {"event_types": [event_type for event_type, _ in wanted], "entity_ids": [each for _, each in wanted]}


def _with_personal_fields(body: Any, events: Sequence[StoredEvent], contents: Sequence[dict[str, Any]]) -> Any:
    """Return a request's body with the personal fields of its events as they are in `contents`."""
    content = body.get("data")
    if content is None:
        return body
    parts = [each["data"] for each in content["events"]] if "events" in content else [content]
    changed = [
        part | {name: data[name] for name in _personal(event.event_type) if part.get(name) is not None}
        for part, event, data in zip(parts, events, contents, strict=True)
    ]
    if "events" not in content:
        return body | {"data": changed[0]}
    sent = [each | {"data": part} for each, part in zip(content["events"], changed, strict=True)]
    return body | {"data": content | {"events": sent}}


def without_unreadable(body: Any, events: Sequence[StoredEvent]) -> Any:
    """Return the body of a repeated request without the texts that cannot be compared with the stored ones."""
    content = body.get("data")
    if content is None or not any(event.unreadable for event in events):
        return body
    parts = [each["data"] for each in content["events"]] if "events" in content else [content]
    if len(parts) != len(events):
        return body
    contents = [part | dict.fromkeys(event.unreadable) for part, event in zip(parts, events, strict=True)]
    return _with_personal_fields(body, events, contents)


def _unreadable(stored: StoredEvent, data: dict[str, Any]) -> frozenset[str]:
    fields = _personal(stored.event_type)
    return frozenset(name for name in fields if stored.data.get(name) is not None and data[name] is None)


def _personal(event_type: str) -> Sequence[str]:
    personal = contract_of(event_type).personal
    return () if personal is None else personal.fields
