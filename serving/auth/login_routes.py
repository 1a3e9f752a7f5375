"""POST /auth/token: exchange a user name and a password for a short-lived token."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from serving.auth.schemas import Credentials, TokenResponse
from serving.auth.tokens import Audience
from serving.services import ServicesDep
from serving.strict_requests import StrictRoute

router = APIRouter(prefix="/auth", tags=["auth"], route_class=StrictRoute)

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
_SCHEMA = {"schema": Credentials.model_json_schema()}
_BODY = {"requestBody": {"required": True, "content": {FORM: _SCHEMA, JSON: _SCHEMA}}}


async def _credentials(request: Request) -> Credentials:
    """Read the user name and the password from a form (OAuth 2's password grant) or from JSON."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == FORM:
        form = await request.form()
        fields: Any = {name: form.get(name) for name in ("username", "password") if name in form}
    elif media_type == JSON:
        try:
            fields = await request.json()
        except (ValueError, RecursionError) as error:
            raise HTTPException(400, 'The body must be JSON: {"username": ..., "password": ...}') from error
    else:
        raise HTTPException(415, f"Expected {FORM} or {JSON}, got {media_type or 'no content type'!r}.")
    try:
        return Credentials.model_validate(fields)
    except ValidationError as error:
        # The response omits the values, because one of them is a password.
        errors = [{**item, "loc": ("body", *item["loc"]), "input": "(not shown)"} for item in error.errors()]
        raise RequestValidationError(errors) from error


@router.post("/token", openapi_extra=_BODY)
def token(
    request: Request, credentials: Annotated[Credentials, Depends(_credentials)], services: ServicesDep
) -> TokenResponse:
    """Exchange a user name and a password for a bearer token that is valid for 15 minutes."""
    address = request.client.host if request.client else "unknown"
    identity = services.accounts.authenticate(credentials.username, credentials.password, address)
    issued = services.tokens.issue(identity, Audience.API)
    return TokenResponse(access_token=issued.text, expires_in=issued.expires_in_s)
