"""Serve the OpenAPI description (/openapi.json) and Swagger UI (/docs), which loads no files from a CDN."""

from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.responses import Response

from serving.auth.authorization import RequireSession, RequireTokenOrSession
from serving.auth.roles import Identity, Right
from serving.strict_requests import StrictRoute

router = APIRouter(include_in_schema=False, route_class=StrictRoute)

# Swagger UI's script sets inline styles, and its icons are data: URLs.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
ABOUT = """
Forecasts whether key results will be achieved by their deadlines, with a probability and the reasons.

1. Get an access token with your user name and password: `POST /auth/token`, or the *Authorize* button. It is valid for
   15 minutes; `POST /auth/refresh` returns the next one. API keys are sent in the same way and need no login.
2. Request forecasts with `POST /predict`, and read published data with `GET /v1/...`.
3. Record a value with `POST /v1/check-ins`. Repeating a request with the same `check_in_id` or `Idempotency-Key`
   returns the first response and changes nothing. `PUT /v1/check-ins/{check_in_id}` corrects a check-in. Keys are
   stored for 90 days, and check-in ids indefinitely.

Every response from the marts includes its `publication_id` and `data_as_of`. Responses with the same `publication_id`
are consistent with each other. Every error is a problem document (RFC 9457, `application/problem+json`).
"""
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "Problem document, RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "urn:okr:problem:<kind>, or about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was expected, what was sent, and what to do."},
        "errors": {
            "type": "array",
            "description": "The errors of an invalid request: the location, what was expected, and what was sent.",
            "items": {"type": "object", "properties": {n: {"type": "string"} for n in ("pointer", "detail", "got")}},
        },
    },
}


def assets() -> str:
    """Return the folder that contains Swagger UI's files."""
    return str(files("fastapi_offline").joinpath("static"))


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description, in which every error response is a problem document."""
    described = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
    schemas = described["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in described["paths"].values():
        for operation in path.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]  # FastAPI's own, in a format that this API does not use
            operation["responses"]["default"] = {"description": "Any error", "content": content}
    return described


@router.get("/openapi.json", dependencies=[Depends(RequireTokenOrSession(Right.SEE_DOCS))])
def openapi(request: Request) -> JSONResponse:
    """Return the OpenAPI description."""
    return JSONResponse(describe(request.app))


@router.get("/docs")
def docs(request: Request, visitor: Annotated[Identity, Depends(RequireSession(Right.SEE_DOCS))]) -> Response:
    """Show the OpenAPI description in Swagger UI."""
    response: Response = request.app.state.pages.render("docs.html", visitor=visitor)
    response.headers["Content-Security-Policy"] = DOCS_POLICY
    return response
