"""Serve the OpenAPI description (/openapi.json) and Swagger UI (/docs), which loads no files from a CDN."""

import re
import threading
from importlib.resources import files
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import Response

from serving.auth.authorization import RequireSession, RequireTokenOrSession
from serving.auth.roles import Identity, Right
from serving.http.deprecation import describe_deprecation
from serving.http.strict_requests import StrictRoute
from serving.openapi.errors import PROBLEM_SCHEMA, describe_errors
from serving.openapi.examples import describe_examples
from serving.openapi.links import describe_links

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
are consistent with each other. Every error is a problem document (RFC 9457, `application/problem+json`), except
the 503 of `/health` and `/readyz`.

Operations that will be removed are marked as deprecated at least 180 days before, and their responses announce it in
the headers `Deprecation` (RFC 9745) and `Sunset` (RFC 8594).
"""


def assets() -> str:
    """Return the folder that contains Swagger UI's files."""
    return str(files("fastapi_offline").joinpath("static"))


def operation_id(route: APIRoute) -> str:
    """Return the id of an operation: its tag and the name of its endpoint, e.g. `data-key_results`."""
    tag = str(route.tags[0]) if route.tags else "pages"
    return f"{re.sub('[^a-z]+', '_', tag)}-{route.name}"


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description. It describes errors as problem documents."""
    described = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
    schemas = described["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    _restore_examples(app, described)
    for path, item in described["paths"].items():
        for operation in item.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]  # FastAPI's own, in a format that this API does not use
            _describe_parameters(operation)
            describe_examples(operation)
            describe_errors(path, operation)
            describe_deprecation(operation)
            describe_links(operation)
    return described


def _describe_parameters(operation: dict[str, Any]) -> None:
    """Say what pydantic's schemas cannot: a parameter is omitted, never null, and a missing If-Match is an error."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        if "anyOf" in schema:
            options = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
            schema |= options[0] if len(options) == 1 else {"anyOf": options}
        if parameter["name"] == "if-match" and "428" in operation["responses"]:
            parameter["required"] = True


def _restore_examples(app: FastAPI, described: dict[str, Any]) -> None:
    """Put the examples of responses back as the routes declare them, because FastAPI drops their null values."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods:
                responses = described["paths"][route.path_format][method.lower()]["responses"]
                for status, response in route.responses.items():
                    for media_type, content in response.get("content", {}).items():
                        if "example" in content:
                            responses[str(status)]["content"][media_type]["example"] = content["example"]


class Description:
    """The encoded description of an application, which is made once, because it takes a third of a second."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._encoded: bytes | None = None
        self._encoding = threading.Lock()

    def encoded(self) -> bytes:
        """Return the JSON of the description."""
        with self._encoding:
            if self._encoded is None:
                self._encoded = msgspec.json.encode(describe(self._app))
            return self._encoded


@router.get("/openapi.json", dependencies=[Depends(RequireTokenOrSession(Right.SEE_DOCS))])
def openapi(request: Request) -> Response:
    """Return the OpenAPI description."""
    description: Description = request.app.state.description
    return Response(description.encoded(), media_type="application/json")


@router.get("/docs")
def docs(request: Request, visitor: Annotated[Identity, Depends(RequireSession(Right.SEE_DOCS))]) -> Response:
    """Show the OpenAPI description in Swagger UI."""
    response: Response = request.app.state.pages.render("docs.html", visitor=visitor)
    response.headers["Content-Security-Policy"] = DOCS_POLICY
    return response
