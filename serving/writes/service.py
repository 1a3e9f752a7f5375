"""Accept writes of apps as events. This module does not use FastAPI.

`submit` shows the order of the steps. A request is stored in PostgreSQL with its events before they are written to
disk. In the same transaction, the versions that it replaces are compared with `If-Match` while the entity is locked, so
of two requests that replace the same version, one fails. A request with many events is accepted as a whole or not at
all. A request that is repeated with the same idempotency key gets the first response and writes nothing new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from ingestion.contract_validation import EncodedEvent, encode
from lakehouse.errors import ContractViolation, RetryableError
from lakehouse.ids import uuid7
from lakehouse.logs import get_logger
from serving.auth.roles import Identity
from serving.errors import AlreadyDefined, Conflict, CurrentVersion, NotFound, NotPersisted, VersionMismatch
from serving.http.idempotency import ATTEMPTS, differences
from serving.http.request_context import event_attributes
from serving.publication_reader import Connection
from serving.spool_sender import SpoolSender
from serving.warehouses import Warehouses
from serving.writes.items import ANY_VERSION, Item
from serving.writes.operations import BY_EVENT_TYPE, CHECK_IN
from serving.writes.references import References
from serving.writes.store import Entity, StoredEvent, StoredRequest, Version, WriteStore, lock, without_unreadable

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class WriteRequest:
    """A request: its operation (method and path), its content as sent, and the idempotency key."""

    operation: str
    body: Any
    idempotency_key: str | None
    allow_unknown: bool = False


@dataclass(frozen=True)
class Accepted:
    """The first response to a request. `is_repeat` is true if the request was a repeat and wrote nothing new."""

    events: list[StoredEvent]
    is_acknowledged: bool
    is_repeat: bool


class Writes:
    """Turns requests into events."""

    def __init__(self, sender: SpoolSender, store: WriteStore, references: References) -> None:
        self._sender = sender
        self._store = store
        self._references = references
        self._log = get_logger(__name__)

    @classmethod
    def from_warehouses(cls, warehouses: Warehouses, sender: SpoolSender) -> "Writes":
        """Return the service with the stored requests of the warehouse and a sender of events."""
        store = WriteStore(warehouses.installation, warehouses.personal_fields)
        return cls(sender, store, References.from_warehouses(warehouses))

    def submit(self, write_request: WriteRequest, items: Sequence[Item], identity: Identity) -> Accepted:
        """Persist the events of a request and send them. If the broker is unavailable, they are sent later.

        Raises:
            Conflict: the idempotency key was already used for another request.
            AlreadyDefined, VersionMismatch: the current version is not the expected one.
            UnknownName, NotFound, NotAllowed: see `References.check`.
            ContractViolation: an event would violate its contract.
            NotPersisted, RetryableError: nothing was accepted; the same request can be sent again.
        """
        caller_and_key = {
            "username": identity.username, "organisation_id": identity.organisation_id,
            "idempotency_key": write_request.idempotency_key,
        }  # fmt: skip
        self._finish_others(items)
        for _ in range(ATTEMPTS):
            if write_request.idempotency_key is not None:
                before = self._store.find(identity.username, write_request.idempotency_key)
                if before is not None:
                    return self._repeat(write_request, before, items, identity)
            checked = self._references.check(items, identity, allow_unknown=write_request.allow_unknown)
            self._check_new_check_ins(items)
            with self._store.transaction() as connection:
                current = self._locked_versions(connection, items)
                if _has_changed(items, checked, current):  # by a caller whose entity this caller may not see
                    self._references.check(
                        items, identity, allow_unknown=write_request.allow_unknown, connection=connection
                    )
                events = _events(items, current)
                _encoded(events, identity.username)  # raises an error before anything is stored
                written = self._store.insert(
                    connection, caller_and_key, write_request.operation, write_request.body, events
                )
            if written is not None:
                return self._deliver(written, identity.username, is_repeat=False)
        raise RetryableError("The same request was sent several times concurrently. Send it again.")

    def current(self, entity: Entity, identity: Identity) -> Version | None:
        """Return the newest version of an entity that the caller may see.

        Raises:
            NotAllowed: see `References.check_reads_definition`.
        """
        version = self._store.versions([entity]).get(entity)
        if version is None or not self._references.is_visible(entity, identity):
            return None
        self._references.check_reads_definition(entity, identity)
        return version

    def _locked_versions(self, connection: Connection, items: Sequence[Item]) -> dict[Entity, Version]:
        """Return the versions that the items may replace. Until the end of the transaction, no other request does."""
        versioned = [item.entity for item in items if item.has_version]
        lock(connection, versioned)
        return self._store.newest_versions(connection, versioned)

    def _finish_others(self, items: Sequence[Item]) -> None:
        """Send the events of requests whose process ended before they were written to disk.

        The versions in these requests count, so their events must not be lost. If they were written after all, they
        count once.
        """
        for username, request in self._store.unfinished(item.entity for item in items if item.is_definition):
            self._log.warning("sending the events of an unfinished request", id=request.request_id)
            try:
                self._deliver(request, username, is_repeat=True)
            except ContractViolation as error:  # such as a user whose name was erased; the request is now rejected
                self._log.warning("an unfinished request was rejected", id=request.request_id, why=str(error))

    def _check_new_check_ins(self, items: Sequence[Item]) -> None:
        sent = {item.entity_id: item for item in items if item.writable.event_type == CHECK_IN}
        known = self._store.known_check_ins(list(sent)) if sent else set()
        for check_in_id in sorted(known):
            raise Conflict(
                f"{sent[check_in_id].pointer}: the check-in {check_in_id!r} is already recorded. "
                f"PUT /v1/check-ins/{check_in_id} corrects it.",
                [],
            )

    def _repeat(
        self, write_request: WriteRequest, before: StoredRequest, items: Sequence[Item], identity: Identity
    ) -> Accepted:
        """Return the first response again. If nothing was persisted then, check and send the stored events now."""
        first = {"operation": before.operation, "body": before.body}
        now = {"operation": write_request.operation, "body": without_unreadable(write_request.body, before.events)}
        if found := differences(first, now):
            raise Conflict(
                f"The idempotency key was already used for {before.operation}, and this request differs from it. "
                "Nothing was changed. Use a new key for a different request.",
                found,
            )
        if before.is_persisted:
            return Accepted(before.events, before.is_acknowledged, is_repeat=True)
        # Ids that the request left out are new in `items`, so the ids of the stored events are used.
        again = [
            replace(item, entity_id=event.entity_id, data=event.data)
            for item, event in zip(items, before.events, strict=True)
        ]
        with self._store.transaction() as connection:
            current = self._locked_versions(connection, again)
            self._references.check(again, identity, allow_unknown=write_request.allow_unknown, connection=connection)
            own = {event.event_id for event in before.events}
            _events([item for item in again if _version_id(current, item.entity) not in own], current)
        return self._deliver(before, identity.username, is_repeat=True)

    def _deliver(self, request: StoredRequest, username: str, *, is_repeat: bool) -> Accepted:
        try:
            is_acknowledged = self._sender.deliver_all(_encoded(request.events, username))
        except NotPersisted as error:
            self._mark("rejected", request, reason="not persisted")
            raise NotPersisted(f"Nothing was written. {error} Send the same request again later.") from error
        except ContractViolation as error:
            self._mark("rejected", request, reason=str(error))
            raise
        self._mark("persisted", request, is_acknowledged=is_acknowledged)
        return Accepted(request.events, is_acknowledged, is_repeat=is_repeat)

    def _mark(self, state: str, request: StoredRequest, **values: Any) -> None:
        mark = self._store.mark_persisted if state == "persisted" else self._store.mark_rejected
        try:
            mark(request.request_id, **values)
        except RetryableError as error:  # a repeat sends the same events, which count once
            self._log.warning(
                "a request could not be marked", state=state, request=request.request_id, error=str(error)
            )


def _has_changed(items: Sequence[Item], checked: Mapping[Entity, UUID], current: Mapping[Entity, Version]) -> bool:
    """Return whether an entity has another version than the one for which the caller's rights were checked."""
    entities = {item.entity for item in items if item.is_definition}
    return any(checked.get(each) != _version_id(current, each) for each in entities)


def _version_id(versions: Mapping[Entity, Version], entity: Entity) -> UUID | None:
    version = versions.get(entity)
    return None if version is None else version.event_id


def _events(items: Sequence[Item], versions: Mapping[Entity, Version]) -> list[StoredEvent]:
    """Return the events of a request. Each event is later than the version that it replaces.

    Raises:
        AlreadyDefined, VersionMismatch, NotFound: the current version is not the expected one.
        Conflict: a check-in or a comment is already recorded.
    """
    current = dict(versions)
    at = datetime.now(UTC)
    events: list[StoredEvent] = []
    for item in items:
        version = current.get(item.entity) if item.has_version else None
        if item.has_version:
            _check_version(item, version)
        at = max(at + MICROSECOND, version.occurred_at + MICROSECOND if version else at)
        event = StoredEvent(uuid7(at), item.writable.event_type, item.entity_id, at, item.data)
        if item.has_version:
            current[item.entity] = Version(event.event_id, at, event.data)  # for later events of the same request
        events.append(event)
    return events


def _check_version(item: Item, version: Version | None) -> None:
    what = f"{item.writable.title} {item.entity_id!r}"
    if version is not None and not item.is_definition:
        raise Conflict(f"{item.pointer}: the {what} is already recorded.", [])
    if item.if_match is None:
        if version is not None:
            raise AlreadyDefined(
                f"The {what} already exists. To replace it, send its entity tag as If-Match.", _shown(version)
            )
        return
    if version is None:
        raise NotFound(f"There is no {what} to replace; POST /v1/{item.writable.collection} creates it.")
    if item.if_match not in (ANY_VERSION, str(version.event_id)):
        raise VersionMismatch(
            f"The {what} was changed in the meantime, so your change was not made. Merge it into `current`, and send "
            "the entity tag of `current` as If-Match.",
            _shown(version),
        )


def _shown(version: Version) -> CurrentVersion:
    return CurrentVersion(f'"{version.event_id}"', version.occurred_at.isoformat(), version.data)


def _encoded(events: Sequence[StoredEvent], username: str) -> list[EncodedEvent]:
    source = f"okr-api/{username}"
    encoded = []
    for event in events:
        model = BY_EVENT_TYPE[event.event_type].contract.model
        try:
            data = msgspec.convert(event.data, model)
        except msgspec.ValidationError as error:
            raise ContractViolation("bad_data", f"{event.event_type} {event.entity_id!r}: {error}.") from error
        encoded.append(
            encode(data, at=event.occurred_at, source=source, event_id=event.event_id, attributes=event_attributes())
        )
    return encoded


def event_id_of(tag: str) -> str:
    """Return the event id in an entity tag; an unreadable tag is returned as it is and matches no version."""
    text = tag.strip().removeprefix("W/").strip('"')
    try:
        return text if text == ANY_VERSION else str(UUID(text))
    except ValueError:
        return text
