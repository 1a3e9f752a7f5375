"""Map every error that a route raises to an HTTP status and a problem document (RFC 9457).

Layers that refuse requests before they reach a route, such as `RequestGuard`, create their own problem documents.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.errors import ContractViolation, NotPossible, OkrError, PermanentError, RetryableError
from lakehouse.logs import get_logger
from serving.errors import (
    AlreadyDefined,
    Conflict,
    CrossSite,
    CursorExpired,
    InvalidAccount,
    InvalidFeatures,
    InvalidField,
    NotAcceptable,
    NotAllowed,
    NotApplicable,
    NotConfigured,
    NotFound,
    NotLoadable,
    NotPersisted,
    NotPublished,
    NotServing,
    NotSignedIn,
    PasswordChangeRequired,
    PublishedByOlderRelease,
    RateLimited,
    TooManyAttempts,
    UnknownName,
    VersionMismatch,
    VersionRequired,
)
from serving.http.allowed_methods import allowed_methods
from serving.http.request_context import current_request_id

MEDIA_TYPE = "application/problem+json"
SHOWN_CHARACTERS = 80  # rejected values are cut to this length in responses
SHOWN_ERRORS = 20
RETRY_AFTER_S = 5

# The first matching class is used, so subclasses precede their base classes.
STATUS_OF: tuple[tuple[type[OkrError], HTTPStatus, str], ...] = (
    (NotFound, HTTPStatus.NOT_FOUND, "not-found"),
    (UnknownName, HTTPStatus.UNPROCESSABLE_ENTITY, "unknown-name"),
    (InvalidFeatures, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-features"),
    (NotApplicable, HTTPStatus.UNPROCESSABLE_ENTITY, "not-applicable"),
    (Conflict, HTTPStatus.CONFLICT, "conflict"),
    (AlreadyDefined, HTTPStatus.CONFLICT, "already-defined"),
    (VersionMismatch, HTTPStatus.PRECONDITION_FAILED, "version-mismatch"),
    (VersionRequired, HTTPStatus.PRECONDITION_REQUIRED, "version-required"),
    (CursorExpired, HTTPStatus.GONE, "cursor-expired"),
    (NotAcceptable, HTTPStatus.NOT_ACCEPTABLE, "not-acceptable"),
    (NotLoadable, HTTPStatus.CONFLICT, "not-loadable"),
    (NotPossible, HTTPStatus.CONFLICT, "not-possible"),
    (NotConfigured, HTTPStatus.NOT_IMPLEMENTED, "not-configured"),
    (NotSignedIn, HTTPStatus.UNAUTHORIZED, "not-signed-in"),
    (PasswordChangeRequired, HTTPStatus.FORBIDDEN, "password-change-required"),
    (NotAllowed, HTTPStatus.FORBIDDEN, "not-allowed"),
    (InvalidAccount, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-account"),
    (CrossSite, HTTPStatus.FORBIDDEN, "cross-site"),
    (TooManyAttempts, HTTPStatus.TOO_MANY_REQUESTS, "too-many-attempts"),
    (RateLimited, HTTPStatus.TOO_MANY_REQUESTS, "rate-limit"),
    (ContractViolation, HTTPStatus.UNPROCESSABLE_ENTITY, "contract-violation"),
    (NotPublished, HTTPStatus.SERVICE_UNAVAILABLE, "not-published"),
    (PublishedByOlderRelease, HTTPStatus.SERVICE_UNAVAILABLE, "published-by-older-release"),
    (NotServing, HTTPStatus.SERVICE_UNAVAILABLE, "not-serving"),
    (NotPersisted, HTTPStatus.SERVICE_UNAVAILABLE, "not-persisted"),
    (RetryableError, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    (PermanentError, HTTPStatus.INTERNAL_SERVER_ERROR, "permanent-error"),
)
PLAIN_DETAILS = {"extra_forbidden": "Unknown field", "missing": "A value is required"}  # replace pydantic's
NOT_AN_OBJECT = {"model_type", "model_attributes_type", "dataclass_type", "dict_type", "mapping_type"}
FASTAPI_BAD_BODY = "There was an error parsing the body"
EXPECTED: Mapping[int, str] = {
    400: "Expected a body of valid JSON in UTF-8.",
    404: "Unknown path. /docs describes the API.",
    405: "This path does not support the method; the header Allow lists the supported methods.",
}


@dataclass(frozen=True)
class Problem:
    """A problem document. `slug` identifies its type. Without a slug, the type is about:blank."""

    status: int
    detail: str
    slug: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The human-readable title."""
        return self.slug.replace("-", " ").capitalize() if self.slug else HTTPStatus(self.status).phrase

    def response(self) -> JSONResponse:
        """Return the HTTP response."""
        kind = f"urn:okr:problem:{self.slug}" if self.slug else "about:blank"
        body = {"type": kind, "title": self.title, "status": self.status, "detail": self.detail, **self.extra}
        if request_id := current_request_id():
            body["request_id"] = request_id
        return JSONResponse(body, self.status, dict(self.headers), MEDIA_TYPE)


# Returns a page or a redirect for a browser, or None if the problem document should be sent.
Present = Callable[[Request, Problem], Response | None]


def install(app: FastAPI, present: Present) -> None:
    """Register handlers for this project's errors and the framework's errors, and middleware for all other errors."""

    def handler(problem_of: Callable[[Request, Any], Problem]) -> Callable[[Request, Exception], Response]:
        def handle(request: Request, error: Exception) -> Response:
            problem = problem_of(request, error)
            return present(request, problem) or problem.response()

        return handle

    app.add_exception_handler(OkrError, handler(_of_okr_error))
    app.add_exception_handler(RequestValidationError, handler(_of_validation))
    app.add_exception_handler(HTTPException, _options_or(handler(_of_http)))
    app.add_middleware(_UnexpectedErrors, answer=handler(_of_unexpected))


class _UnexpectedErrors:
    """Responds to unexpected exceptions. The framework's handler re-raises them, which closes the connection."""

    def __init__(self, app: ASGIApp, answer: Callable[[Request, Exception], Response]) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception as error:
            if scope["type"] != "http" or has_started:
                raise
            await self._answer(Request(scope), error)(scope, receive, send)


def problem_of(error: OkrError) -> Problem:
    """Return the problem document of one of this project's errors."""
    status, slug = next((status, slug) for kind, status, slug in STATUS_OF if isinstance(error, kind))
    headers: dict[str, str] = {}
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = 'Bearer realm="okr-lakehouse"'
    elif isinstance(error, RetryableError):
        wait_s = error.retry_after_s if isinstance(error, TooManyAttempts | RateLimited) else RETRY_AFTER_S
        headers["Retry-After"] = str(wait_s)
    return Problem(status, str(error), slug, headers, _members_of(error))


def _of_okr_error(request: Request, error: OkrError) -> Problem:
    problem = problem_of(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, NotPublished):
        get_logger(__name__).warning("request failed", route=route_of(request), error=str(error))
    return problem


def _members_of(error: OkrError) -> dict[str, Any]:  # noqa: PLR0911 -- one for each kind of error
    """Return the extension members of an error's problem document."""
    match error:
        case ContractViolation():
            return {"reason": error.reason}
        case NotFound() if error.similar:
            return {"similar": error.similar}
        case RateLimited():
            return {"violated-policies": [error.plan]}
        case InvalidAccount():
            return {"pointer": f"#/{error.field}"}
        case UnknownName():
            return {"pointer": error.pointer, "similar": error.similar}
        case InvalidFeatures():
            return {"errors": [{"pointer": _pointer_of(each), "detail": each.detail} for each in error.errors]}
        case Conflict() | AlreadyDefined() | VersionMismatch():
            return _conflict_members(error)
        case _:
            return {}


def _conflict_members(error: Conflict | AlreadyDefined | VersionMismatch) -> dict[str, Any]:
    if not isinstance(error, Conflict):
        return {"current": asdict(error.current)}
    differs = ({"field": each.field, "first": each.first, "now": each.now} for each in error.differs)
    return {"differs": [{name: _short(value) for name, value in each.items()} for each in differs]}


def _pointer_of(field: InvalidField) -> str:
    return f"#/features/{field.row}/{field.name.replace('~', '~0').replace('/', '~1')}"


def _short(value: Any) -> Any:
    is_long = isinstance(value, str) and len(value) > SHOWN_CHARACTERS
    return f"{value[:SHOWN_CHARACTERS]}..." if is_long else value


def _of_validation(request: Request, error: RequestValidationError) -> Problem:
    items = error.errors()
    if any(item["type"] == "json_invalid" for item in items):
        return Problem(400, f"{EXPECTED[400]} {items[0].get('ctx', {}).get('error', '')}".strip(), "invalid-json")
    errors = [_one_validation_error(item) for item in items[:SHOWN_ERRORS]]
    summary = "; ".join(f"{item['pointer']}: {item['detail']}" for item in errors[:3])
    return Problem(422, f"The request is invalid. {summary}", "validation", {}, {"errors": errors})


def _one_validation_error(item: Mapping[str, Any]) -> dict[str, str]:
    """Return an item of RFC 9457's `errors` member. A location in the body is given as a JSON pointer."""
    location, *path = (str(part) for part in item["loc"])
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in path)  # RFC 6901
    in_body = "#" + "".join(f"/{part}" for part in escaped)
    pointer = in_body if location == "body" else f"{location} {'.'.join(path)}".strip()
    detail = PLAIN_DETAILS.get(item["type"], str(item["msg"]).removeprefix("Value error, "))
    if pointer == "#" and (item["type"] == "missing" or isinstance(item.get("input"), bytes)):
        detail = "A JSON body is required, with the header Content-Type: application/json"
    elif item["type"] in NOT_AN_OBJECT:  # pydantic's message names a Python class
        detail = "Input should be an object"
    if isinstance(item.get("input"), str):  # pydantic counts the characters of some strings as items
        detail = detail.replace(" items after validation", " characters").replace(" item after", " character after")
    return {"pointer": pointer, "detail": detail, "got": _shown(item.get("input"))}


def _shown(value: object) -> str:
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'an array'} of {len(value)}"
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = "nothing" if value is None else repr(value)
    text = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
    return text.encode("utf-8", "backslashreplace").decode()


def _options_or(handle: Callable[[Request, Exception], Response]) -> Callable[[Request, Exception], Response]:
    """Return a handler that answers OPTIONS, which no route lists among its methods, and passes on other errors."""

    def answer(request: Request, error: Exception) -> Response:
        if request.method == "OPTIONS" and isinstance(error, HTTPException) and error.status_code == 405:
            return Response(status_code=204, headers={"Allow": allowed_methods(request)})
        return handle(request, error)

    return answer


def _of_http(request: Request, error: HTTPException) -> Problem:
    if error.status_code == 405:
        return Problem(405, EXPECTED[405], None, {"Allow": allowed_methods(request)})
    phrase = HTTPStatus(error.status_code).phrase
    expected = EXPECTED.get(error.status_code, HTTPStatus(error.status_code).description)
    detail = expected if error.detail in {phrase, FASTAPI_BAD_BODY} else error.detail
    return Problem(error.status_code, detail, None, error.headers or {})


def _of_unexpected(request: Request, error: Exception) -> Problem:
    """Return a problem with an error id and log the cause with the same id."""
    error_id = str(uuid.uuid4())
    get_logger(__name__).error("unexpected error", route=route_of(request), error_id=error_id, exc_info=error)
    detail = f"The service failed. Report the error id {error_id}; the log has the cause."
    return Problem(500, detail, "unexpected-error", {}, {"error_id": error_id})


def route_of(request: Request) -> str:
    """Return the route's pattern for logs. The path is not logged because it may contain a person's id."""
    return str(getattr(request.scope.get("route"), "path", "(no route)"))
