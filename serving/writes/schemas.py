"""Responses of the endpoints that write, and the body of bulk requests. The other bodies come from the contracts."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from serving.schemas import Body

MAX_EVENTS = 500

EventState = Literal["accepted", "landed", "loaded", "published", "quarantined", "rejected"]


class WrittenEvent(BaseModel):
    """An event that was accepted. Follow `status_url` until it is published."""

    event_id: str
    event_type: str
    entity_id: str = Field(description="Id of the entity, e.g. a team or check-in; generated if not sent.")
    occurred_at: datetime
    status_url: str
    etag: str | None = Field(
        description="Entity tag of the new version, for If-Match; null if the event is not a definition."
    )


class WriteAccepted(WrittenEvent):
    """The event is persisted. Repeating the request with its `Idempotency-Key` returns this response."""

    is_acknowledged: bool = Field(
        description="Whether the broker has acknowledged the event. If not, it is sent when the broker is available."
    )


class BulkAccepted(BaseModel):
    """All events are persisted. `events` lists them in the order of the request."""

    events: list[WrittenEvent]
    is_acknowledged: bool = Field(description="Whether the broker has acknowledged all events.")


class BulkEvent(Body):
    """An event of a bulk request."""

    type: str = Field(max_length=128, description="Event type, e.g. okr.team.defined.v1.")
    data: dict[str, Any] = Field(description="As in the request for a single event. The id may be omitted.")
    if_match: str | None = Field(
        None, max_length=100, description="Entity tag of the version that a definition replaces, or `*` for any."
    )


class BulkRequest(Body):
    """Events that are accepted together, or not at all. They may refer to entities that others of them define."""

    events: Annotated[list[BulkEvent], Field(min_length=1, max_length=MAX_EVENTS)]


class Definition(BaseModel):
    """The newest definition of an entity, which may have just been accepted and not be in the marts yet."""

    event_type: str
    entity_id: str
    event_id: str
    defined_at: datetime
    data: dict[str, Any] = Field(description="The content, as it would be sent to replace the definition.")


class EventStatus(BaseModel):
    """The status of an event.

    accepted: on disk, and soon in the log. landed: in the lake. loaded: in the warehouse. published: in the marts.
    quarantined: withheld from the marts until an operator releases it. rejected: it will never count.
    """

    event_id: str
    event_type: str
    entity_id: str
    status: EventState
    reason: str | None = Field(description="Why the event is quarantined or rejected.")
    operation: str = Field(description="The request that wrote the event, e.g. POST /v1/teams.")
    occurred_at: datetime
    accepted_at: datetime
    is_acknowledged: bool = Field(description="Whether the broker had acknowledged it when the request was answered.")
    publication_id: int | None = Field(description="The first publication that covers the event.")
