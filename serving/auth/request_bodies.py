"""Read bodies that may be forms (as OAuth 2 sends them) or JSON. Error responses do not show what was sent."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

FORM, JSON = "application/x-www-form-urlencoded", "application/json"

T = TypeVar("T", bound=BaseModel)


def form_or_json(model: type[T]) -> Callable[[Request], Awaitable[T]]:
    """Return a dependency that reads a model from a form or from JSON. Other fields of a form are ignored."""

    async def read(request: Request) -> T:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        fields: Any
        if media_type == FORM:
            form = await request.form()
            fields = {name: form.get(name) for name in model.model_fields if name in form}
        elif media_type == JSON:
            fields = await _json(request, model)
        else:
            raise HTTPException(415, f"Expected {FORM} or {JSON}, got {media_type or 'no content type'!r}.")
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            errors = [{**item, "loc": ("body", *item["loc"]), "input": "(not shown)"} for item in error.errors()]
            raise RequestValidationError(errors) from error

    return read


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Return the body's description for OpenAPI."""
    schema = {"schema": model.model_json_schema()}
    return {"requestBody": {"required": True, "content": {FORM: schema, JSON: schema}}}


async def _json(request: Request, model: type[BaseModel]) -> Any:
    try:
        return await request.json()
    except (ValueError, RecursionError) as error:
        names = ", ".join(f'"{name}": ...' for name in model.model_fields)
        raise HTTPException(400, f"The body must be JSON: {{{names}}}") from error
