"""Exceptions. Every error response of the API becomes an `ApiError` with the members of its problem document."""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

PREFIX = "urn:okr:problem:"


class OkrClientError(Exception):
    """Base class of all exceptions of this package."""


class ConnectionFailed(OkrClientError):
    """No response arrived: the connection failed, or a time limit was reached. `__cause__` is httpx's exception."""


class InvalidResponse(OkrClientError):
    """A response does not match the API's description. The client may be older than the API."""


class NotPublishedInTime(OkrClientError):
    """An event has not reached the awaited status in time. It is persisted, and may still be published."""


class EventNotPublished(OkrClientError):
    """An event is quarantined or rejected. `status` is its status, with the reason."""

    def __init__(self, message: str, status: Any) -> None:
        super().__init__(message)
        self.status = status


class ApiError(OkrClientError):
    """An error response.

    `code` identifies the kind of problem and stays the same across releases ("" if the response has none). `hint` says
    what was expected, what was sent and what to do. `request_id` finds the request in the service's log. `problem` has
    all members of the problem document, for example `errors`, `similar` or `current`.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], request_id: str | None) -> None:
        kind = str(problem.get("type", ""))
        self.status = status
        self.code = kind.removeprefix(PREFIX) if kind.startswith(PREFIX) else ""
        self.title = str(problem.get("title", ""))
        self.hint = str(problem.get("detail", ""))
        self.request_id = request_id
        self.problem = dict(problem)
        super().__init__(f"{status} {self.code or self.title}: {self.hint} (request {request_id})")


class InvalidRequest(ApiError):
    """400, 406, 413, 415, 422, 431: the request is invalid. `problem["errors"]` lists what is wrong, if known."""


class NotSignedIn(ApiError):
    """401: there is no valid credential."""


class NotAllowed(ApiError):
    """403: the account or API key lacks a right."""


class NotFound(ApiError):
    """404: there is no such thing, or the account may not see it. `problem["similar"]` may have similar ids."""


class Conflict(ApiError):
    """409: the request contradicts an earlier one or the present state, and nothing was changed."""


class CursorExpired(ApiError):
    """410: the list was published again while it was read in an order that is not the default. Start again."""


class VersionMismatch(ApiError):
    """412: a definition was changed in the meantime. `problem["current"]` is the current one: merge and try again."""


class VersionRequired(ApiError):
    """428: a definition can be replaced only with the entity tag of its current version."""


class RateLimited(ApiError):
    """429: too many requests or failed logins, and the time to wait exceeds the limit for retries."""


class Unavailable(ApiError):
    """502, 503, 504: the service or a dependency is unavailable; the request can be sent again later."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    **dict.fromkeys((400, 406, 413, 415, 422, 431), InvalidRequest),
    **dict.fromkeys((502, 503, 504), Unavailable),
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: CursorExpired,
    412: VersionMismatch,
    428: VersionRequired,
    429: RateLimited,
}


def error_of(response: httpx.Response) -> ApiError:
    """Return the exception for an error response whose body has been read."""
    problem = _problem_of(response)
    request_id = response.headers.get("x-request-id", problem.get("request_id"))
    return _BY_STATUS.get(response.status_code, ApiError)(response.status_code, problem, request_id)


def _problem_of(response: httpx.Response) -> dict[str, Any]:
    """Return the problem document, or one made of the response if something else answered, such as a proxy."""
    try:
        found = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        found = None
    if isinstance(found, dict):
        return found
    return {"title": response.reason_phrase, "detail": response.text[:500]}
