"""The routes that write. Those that write one event are generated from `operations`, with bodies from the contracts."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel

from serving.auth.authorization import RequireToken
from serving.auth.roles import Identity, Right
from serving.data.lists.documentation import PROBLEM
from serving.errors import NotAllowed, NotFound
from serving.http.idempotency import IdempotencyKey
from serving.http.strict_requests import StrictRoute
from serving.limits.rate_limit_enforcement import charge
from serving.schemas import Id
from serving.services import ServicesDep
from serving.writes import examples
from serving.writes.operations import COMMENTS, DEFINITIONS, ENDINGS, Ending, Kind, Writable
from serving.writes.requests import bulk_items, item_of, model_of, replacement_of
from serving.writes.responses import answer, bulk_answer, definition_answer
from serving.writes.schemas import BulkAccepted, BulkRequest, Definition, EventStatus, WriteAccepted
from serving.writes.service import WriteRequest

router = APIRouter(prefix="/v1", tags=["writes"], route_class=StrictRoute)

Writer = Annotated[Identity, Depends(RequireToken(Right.RECORD))]
Definer = Annotated[Identity, Depends(RequireToken(Right.DEFINE))]
LEADS_AND_ADDRESSES = " Leads may read it only for users of their teams, because it contains the e-mail address."
AllowUnknown = Annotated[bool, Query(description="Accept references to entities that are not defined yet.")]
IfMatch = Annotated[
    str | None, Header(max_length=100, description="Entity tag of the version that is replaced, or `*` for any.")
]
ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"description": "There is no valid login.", "content": PROBLEM},
    403: {"description": "The account may not make this change.", "content": PROBLEM},
    404: {"description": "There is no such entity.", "content": PROBLEM},
    409: {"description": "The entity exists, or the idempotency key was used for another request.", "content": PROBLEM},
    422: {"description": "The event violates its contract, or refers to an unknown entity.", "content": PROBLEM},
    503: {"description": "Nothing was accepted: send the same request again later.", "content": PROBLEM},
}
REPLACEMENT_ERRORS: dict[int | str, dict[str, Any]] = {
    412: {"description": "The version is not the current one, which is in `current`.", "content": PROBLEM},
    428: {"description": "The header If-Match is missing.", "content": PROBLEM},
}

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"content": {"application/json": {"example": examples.ACCEPTED}}},
    **ERRORS,
}
READ_ERRORS: dict[int | str, dict[str, Any]] = {code: ERRORS[code] for code in (401, 403, 404, 503)}


def _annotated(endpoint: Callable[..., Any], writable: Writable) -> Callable[..., Any]:
    """Set the types of the body and of the identity, which depend on the event type."""
    model: Any = model_of(writable)
    endpoint.__annotations__["body"] = Annotated[model, Body(examples=[examples.EXAMPLES[writable.event_type]])]
    endpoint.__annotations__["identity"] = Annotated[Identity, Depends(RequireToken(writable.right))]
    return endpoint


def _add_creation(writable: Writable) -> None:
    def create(  # noqa: PLR0913, PLR0917 -- the parts of the request
        request: Request,
        body: BaseModel,
        identity: Identity,
        services: ServicesDep,
        response: Response,
        idempotency_key: IdempotencyKey = None,
        allow_unknown: AllowUnknown = False,
    ) -> WriteAccepted:
        write_request = _write_request(request, body, idempotency_key, allow_unknown=allow_unknown)
        return answer(services.writes.submit(write_request, [item_of(writable, body)], identity), response)

    action = "Define a new" if writable.kind is Kind.DEFINITION else f"Post {writable.article}"
    router.post(
        f"/{writable.collection}", status_code=202, summary=f"{action} {writable.title}", responses=ACCEPTED,
        description=_about(writable, is_new=True), name=f"create_{writable.name}",
    )(_annotated(create, writable))  # fmt: skip


def _add_replacement(writable: Writable) -> None:
    def replace(  # noqa: PLR0913, PLR0917 -- the parts of the request
        request: Request,
        entity_id: Annotated[Id, Path(alias=writable.id_field)],
        body: BaseModel,
        identity: Identity,
        services: ServicesDep,
        response: Response,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        allow_unknown: AllowUnknown = False,
    ) -> WriteAccepted:
        write_request = _write_request(request, body, idempotency_key, if_match, allow_unknown=allow_unknown)
        item = replacement_of(writable, body, entity_id, if_match)
        return answer(services.writes.submit(write_request, [item], identity), response)

    router.put(
        f"/{writable.collection}/{{{writable.id_field}:entity_id}}", status_code=202,
        responses={**ACCEPTED, **REPLACEMENT_ERRORS},
        summary=f"Replace the definition of {writable.article} {writable.title}", name=f"replace_{writable.name}",
        description=f"{_about(writable)}\n\nAll fields are replaced: an omitted field gets its default.",
    )(_annotated(replace, writable))  # fmt: skip


def _add_definition(writable: Writable) -> None:
    def definition(
        entity_id: Annotated[Id, Path(alias=writable.id_field)],
        identity: Definer,
        services: ServicesDep,
        response: Response,
    ) -> Definition:
        entity = writable.event_type, entity_id
        found = services.writes.current(entity, identity)
        if found is None:
            raise NotFound(f"There is no {writable.title} {entity_id!r}; GET /v1/{writable.collection} lists them.")
        return definition_answer(entity, found, response)

    example, is_user = examples.definition(writable.event_type), writable.name == "user"
    router.get(
        f"/{writable.collection}/{{{writable.id_field}:path}}/definition",
        responses={200: {"content": {"application/json": {"example": example}}}, **READ_ERRORS},
        summary=f"Get the newest definition of {writable.article} {writable.title}",
        name=f"definition_of_{writable.name}",
        description="Return the newest definition, even if it is not published yet, with its entity tag."
        + (LEADS_AND_ADDRESSES if is_user else ""),
    )(definition)  # fmt: skip


def _add_ending(writable: Ending) -> None:
    def end(  # noqa: PLR0913, PLR0917 -- the parts of the request
        request: Request,
        entity_id: Annotated[Id, Path(alias=writable.id_field)],
        body: BaseModel,
        identity: Identity,
        services: ServicesDep,
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> WriteAccepted:
        write_request = _write_request(request, body, idempotency_key)
        item = item_of(writable, body, entity_id=entity_id)
        return answer(services.writes.submit(write_request, [item], identity), response)

    router.post(
        f"/{writable.collection}/{{{writable.id_field}:path}}/{writable.verb}", status_code=202, responses=ACCEPTED,
        summary=f"Record the {writable.verb} of {writable.article} {writable.title}", description=_about(writable),
        name=f"{writable.verb}_of_{writable.name}",
    )(_annotated(end, writable))  # fmt: skip


def _about(writable: Writable, *, is_new: bool = False) -> str:
    documentation = " ".join((writable.contract.model.__doc__ or "").split())
    who = _who(writable, is_new=is_new)
    return f"{documentation}\n\nThe event `{writable.event_type}` is accepted; `status_url` shows its progress.{who}"


def _who(writable: Writable, *, is_new: bool) -> str:
    """Return who may write an event, if the right of the route is not enough."""
    if writable.name == "cycle":
        return " Only admins and services may change cycles, because cycles belong to no team; others get a 403."
    if writable.name == "team" and is_new:
        return " Only admins and services may define new teams; leads get a 403, as the new team is not theirs."
    return " Leads may change only what belongs to their teams." if writable.right is Right.DEFINE else ""


def _write_request(
    request: Request, body: BaseModel, key: str | None, if_match: str | None = None, *, allow_unknown: bool = False
) -> WriteRequest:
    content = {"data": body.model_dump(exclude_unset=True, mode="json"), "if_match": if_match}
    return WriteRequest(f"{request.method} {request.url.path}", content, key, allow_unknown)


for _writable in DEFINITIONS:
    _add_creation(_writable)
    _add_definition(_writable)
for _ending in ENDINGS:
    _add_ending(_ending)
for _writable in DEFINITIONS:  # after the endings: their paths are longer
    _add_replacement(_writable)
_add_creation(COMMENTS)


@router.post(
    "/events",
    status_code=202,
    summary="Write many events",
    responses={202: {"content": {"application/json": {"example": examples.BULK_ACCEPTED}}}, **ERRORS},
)
def write_events(  # noqa: PLR0913, PLR0917 -- the parts of the request
    request: Request,
    body: Annotated[BulkRequest, Body(examples=[examples.BULK])],
    identity: Writer,
    services: ServicesDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    allow_unknown: AllowUnknown = False,
) -> BulkAccepted:
    """Accept up to 500 events of any type that the other endpoints write, all of them or none.

    In the rate limit, every 10 events count as a request. Events may refer to entities that others of them define.
    If any event is invalid, none is accepted, and the response says which ones are invalid and why.
    """
    charge(request.scope, identity, len(body.events))
    items = bulk_items(body)
    for item in items:
        if not identity.may(item.writable.right):
            raise NotAllowed(f"{item.pointer}: your account may not {item.writable.right.value}.")
    write_request = _write_request(request, body, idempotency_key, allow_unknown=allow_unknown)
    return bulk_answer(services.writes.submit(write_request, items, identity), response)


@router.get(
    "/events/{event_id}",
    summary="Get the status of an event",
    responses={
        200: {"content": {"application/json": {"example": examples.STATUS}}},
        **READ_ERRORS,
    },
)
def event_status(event_id: UUID, identity: Writer, services: ServicesDep) -> EventStatus:
    """Return the status of an event that your account wrote: accepted, landed, loaded or published.

    A quarantined event is withheld from the marts until an operator releases it; a rejected event never counts.
    """
    found = services.event_progress.of(event_id, identity)
    row = found.row
    return EventStatus(
        event_id=str(row["event_id"]), event_type=row["event_type"], entity_id=row["entity_id"],
        status=found.status, reason=found.reason, operation=row["operation"], occurred_at=row["occurred_at"],
        accepted_at=row["received_at"], is_acknowledged=row["is_acknowledged"], publication_id=row["publication_id"],
    )  # fmt: skip
