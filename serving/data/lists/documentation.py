"""Describe the lists in OpenAPI: their response models, formats and errors."""

from typing import Any, cast

from pydantic import BaseModel, Field, create_model

from serving.data.lists.formats import MEDIA_TYPES, Format
from serving.data.lists.listing import Listing
from serving.schemas import PublishedResponse

NEXT_CURSOR = "Value of `cursor` for the next page; null on the last page."
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"description": "There is no valid login.", "content": PROBLEM},
    403: {"description": "The account's role lacks the right.", "content": PROBLEM},
    406: {"description": "The header Accept allows none of the formats.", "content": PROBLEM},
    410: {"description": "The cursor belongs to an earlier publication: start again.", "content": PROBLEM},
    422: {"description": "A parameter is unknown or invalid; similar names are suggested.", "content": PROBLEM},
    503: {"description": "Nothing is published yet, or the warehouse is unavailable.", "content": PROBLEM},
}


def described(example: Any, *errors: int, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a route's responses: an example, and these errors (keys of ERRORS, or 404)."""
    known = {404: {"description": "The publication has no such id.", "content": PROBLEM}, **ERRORS}
    return {status: {"content": {"application/json": {"example": example}}}, **{each: known[each] for each in errors}}


def documented(listing: Listing, example: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that document the route of a list. `example` is a row."""
    exports = {
        media_type: {"schema": {"type": "string", "format": "binary"}}
        for wanted, media_type in MEDIA_TYPES.items()
        if wanted is not Format.JSON
    }
    page = {"publication_id": 41, "data_as_of": "2026-11-20T12:00:00Z", listing.rows_name: [example]}
    json_content = {"example": {**page, "next_cursor": None}}
    return {
        "summary": f"List {listing.rows_name.replace('_', ' ')}",
        "response_model": page_model(listing),
        "responses": {
            200: {"content": {"application/json": json_content, **exports}},
            304: {"description": "Not modified: the client has the response of `If-None-Match`."},
            **ERRORS,
        },
    }


def page_model(listing: Listing) -> type[BaseModel]:
    """Return the model of a list's JSON response."""
    rows: Any = (list[listing.row], ...)  # type: ignore[name-defined]
    fields: dict[str, Any] = {
        listing.rows_name: rows,
        "next_cursor": (str | None, Field(description=NEXT_CURSOR)),
    }
    name = "".join(part.title() for part in listing.path.rpartition("/")[2].split("-")) + "Response"
    model = create_model(name, __base__=PublishedResponse, __doc__=f"A page of GET {listing.path}.", **fields)
    return cast(type[BaseModel], model)
