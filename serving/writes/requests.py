"""Turn request bodies into the events that they ask for."""

from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from lakehouse.ids import uuid7
from serving.errors import VersionRequired
from serving.suggestions import similar_names
from serving.writes.bodies import body_of
from serving.writes.items import Item
from serving.writes.operations import BY_EVENT_TYPE, Kind, Writable
from serving.writes.schemas import BulkRequest
from serving.writes.service import event_id_of

MAX_ERRORS_SHOWN = 20


def model_of(writable: Writable) -> type[BaseModel]:
    """Return the body of a request for a single event; the entity's own id may be omitted."""
    entity, verb = writable.event_type.split(".")[1:3]
    name = "".join(part.title() for part in (*entity.split("_"), verb))
    return body_of(writable.contract, name, optional=(writable.id_field,))


def item_of(writable: Writable, body: BaseModel, *, entity_id: str | None = None, if_match: str | None = None) -> Item:
    """Return the event that a body asks for. `entity_id` is the id in the path, if the path has one.

    Raises:
        RequestValidationError: the id in the body differs from the id in the path.
    """
    data = body.model_dump(exclude_unset=True, mode="json")
    sent = data.get(writable.id_field)
    if entity_id is not None and sent not in (None, entity_id):
        message = f"Expected the id of the path, {entity_id!r}, or none"
        raise RequestValidationError(
            [{"type": "other_id", "loc": ("body", writable.id_field), "msg": message, "input": sent}]
        )
    return _item(writable, data, "#", entity_id or sent, if_match)


def replacement_of(writable: Writable, body: BaseModel, entity_id: str, if_match: str | None) -> Item:
    """Return the definition that replaces another one.

    Raises:
        VersionRequired: the request does not state which version it replaces.
    """
    if if_match is None:
        raise VersionRequired(
            "Send the entity tag of the version that you replace as If-Match (GET "
            f'/v1/{writable.collection}/<id>/definition returns it), or "*" to replace any version.'
        )
    return item_of(writable, body, entity_id=entity_id, if_match=event_id_of(if_match))


def bulk_items(request: BulkRequest) -> list[Item]:
    """Return the events of a bulk request, after validating each by the contract of its type.

    Raises:
        RequestValidationError: events are invalid; the first ones are listed.
    """
    items: list[Item] = []
    errors: list[Mapping[str, Any]] = []
    for number, event in enumerate(request.events):
        if len(errors) >= MAX_ERRORS_SHOWN:
            break
        at = ("body", "events", number)
        writable = BY_EVENT_TYPE.get(event.type)
        if writable is None:
            errors.append(_unknown_type(at, event.type))
        elif event.if_match is not None and writable.kind is not Kind.DEFINITION:
            message = "Only definitions have versions that can be replaced"
            errors.append({"type": "no_version", "loc": (*at, "if_match"), "msg": message, "input": event.if_match})
        else:
            try:
                body = model_of(writable).model_validate(event.data)
            except ValidationError as error:
                errors += [{**each, "loc": (*at, "data", *each["loc"])} for each in error.errors(include_url=False)]
                continue
            data = body.model_dump(exclude_unset=True, mode="json")
            tag = None if event.if_match is None else event_id_of(event.if_match)
            if writable.kind is Kind.ENDING and data.get(writable.id_field) is None:
                errors.append({"type": "missing", "loc": (*at, "data", writable.id_field), "msg": "", "input": None})
                continue
            items.append(_item(writable, data, f"#/events/{number}/data", data.get(writable.id_field), tag))
    if errors:
        raise RequestValidationError(errors[:MAX_ERRORS_SHOWN])
    return items


def _item(writable: Writable, data: dict[str, Any], pointer: str, entity_id: str | None, if_match: str | None) -> Item:
    known_id = entity_id or str(uuid7())
    return Item(writable, known_id, {**data, writable.id_field: known_id}, pointer, if_match)


def _unknown_type(at: tuple[Any, ...], event_type: str) -> Mapping[str, Any]:
    near = similar_names(event_type, BY_EVENT_TYPE, 1)
    message = f"Unknown event type{f'. Did you mean {near[0]}?' if near else ''}"
    return {"type": "unknown_type", "loc": (*at, "type"), "msg": message, "input": event_type}
