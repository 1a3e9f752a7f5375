"""Helpers of all routes of /admin: who may call them, paging, and their description."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from serving.auth.actor import Actor as Operator
from serving.auth.authorization import ClientDep, RequireToken
from serving.auth.roles import Identity, Right
from serving.http.strict_requests import StrictRoute
from serving.schemas import Cursor

LARGEST_PAGE = 1_000
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
ERRORS = {
    401: "There is no valid login.",
    403: "The account lacks the right.",
    404: "There is nothing with this id.",
    409: "The current state does not permit the change. Nothing was changed.",
    422: "A parameter or field is unknown or invalid.",
    501: "This host lacks a setting that the operation needs.",
    503: "A service that the operation needs is unavailable. The request can be repeated.",
}
ALWAYS = (401, 403, 422, 503)

IsOperator = RequireToken(Right.ADMINISTER)
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Maximum number of rows in the response.")]
PageCursor = Annotated[Cursor | None, Query(description="`next_cursor` of the previous page.")]


def admin_router(tag: str) -> APIRouter:
    """Return a router for routes under /admin. Each route states who may call it (`IsOperator` or `Manager`)."""
    return APIRouter(prefix="/admin", tags=[f"admin: {tag}"], route_class=StrictRoute)


async def operator(identity: Annotated[Identity, Depends(IsOperator)], client: ClientDep) -> Operator:
    """Return who calls, for the audit log."""
    return Operator(identity.username, client.address, identity)


OperatorDep = Annotated[Operator, Depends(operator)]


def described(summary: str, example: Any, *errors: int, status: int = 200) -> dict[str, Any]:
    """Return the arguments of a route that describe it: an example of its response, and further errors of ERRORS."""
    responses: dict[int | str, dict[str, Any]] = {status: {"content": {"application/json": {"example": example}}}}
    for error in sorted({*ALWAYS, *errors}):
        responses[error] = {"description": ERRORS[error], "content": PROBLEM}
    return {"summary": summary, "status_code": status, "responses": responses}
