"""Turn accepted writes into responses, with the headers Location, ETag and Idempotent-Replayed."""

from fastapi import Response

from serving.writes.operations import BY_EVENT_TYPE, Kind
from serving.writes.schemas import BulkAccepted, Definition, WriteAccepted, WrittenEvent
from serving.writes.service import Accepted
from serving.writes.store import Entity, StoredEvent, Version


def answer(accepted: Accepted, response: Response) -> WriteAccepted:
    """Return the response to a request that writes one event."""
    written = _written(accepted.events[0])
    response.headers["Location"] = written.status_url
    if written.etag is not None:
        response.headers["ETag"] = written.etag
    _note_repeat(accepted, response)
    return WriteAccepted(**written.model_dump(), is_acknowledged=accepted.is_acknowledged)


def bulk_answer(accepted: Accepted, response: Response) -> BulkAccepted:
    """Return the response to a bulk request."""
    _note_repeat(accepted, response)
    events = [_written(event) for event in accepted.events]
    return BulkAccepted(events=events, is_acknowledged=accepted.is_acknowledged)


def definition_answer(entity: Entity, version: Version, response: Response) -> Definition:
    """Return the newest definition of an entity."""
    response.headers["ETag"] = f'"{version.event_id}"'
    event_type, entity_id = entity
    return Definition(
        event_type=event_type, entity_id=entity_id, event_id=str(version.event_id), defined_at=version.occurred_at,
        data=version.data,
    )  # fmt: skip


def _written(event: StoredEvent) -> WrittenEvent:
    is_definition = BY_EVENT_TYPE[event.event_type].kind is Kind.DEFINITION
    return WrittenEvent(
        event_id=str(event.event_id), event_type=event.event_type, entity_id=event.entity_id,
        occurred_at=event.occurred_at, status_url=f"/v1/events/{event.event_id}",
        etag=f'"{event.event_id}"' if is_definition else None,
    )  # fmt: skip


def _note_repeat(accepted: Accepted, response: Response) -> None:
    if accepted.is_repeat:
        response.headers["Idempotent-Replayed"] = "true"
