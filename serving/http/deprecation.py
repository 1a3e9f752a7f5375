"""Announce that an operation will be removed: in its responses' headers and in the OpenAPI description.

docs/api-deprecation.md has the policy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from typing import Any

from starlette.types import Message, Send

SHORTEST_NOTICE = timedelta(days=180)
POLICY = "/docs"
_MEMBER = "x-okr-deprecation"  # of the operation in the OpenAPI description
_TEXT = {"schema": {"type": "string"}}
HEADERS: dict[str, Any] = {
    "Deprecation": {"description": "Since when the operation is deprecated (RFC 9745).", **_TEXT},
    "Sunset": {"description": "When the operation will be removed (RFC 8594).", **_TEXT},
    "Link": {"description": "The operation to use instead (successor-version), and the policy (deprecation).", **_TEXT},
}


@dataclass(frozen=True)
class Deprecation:
    """The days (UTC) from which an operation is deprecated and on which it is removed, and what to use instead."""

    since: date
    sunset: date
    instead: str

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of the operation's responses."""
        sunset = format_datetime(_midnight(self.sunset), usegmt=True)
        link = f'<{self.instead}>; rel="successor-version", <{POLICY}>; rel="deprecation"; type="text/html"'
        return [
            (b"deprecation", f"@{_midnight(self.since).timestamp():.0f}".encode()),
            (b"sunset", sunset.encode()),
            (b"link", link.encode()),
        ]


def deprecated(*, since: date, sunset: date, instead: str) -> dict[str, Any]:
    """Return the arguments with which a route is declared as deprecated. `instead` is the path of its successor.

    Raises:
        ValueError: the time between both days is shorter than the policy promises.
    """
    if sunset - since < SHORTEST_NOTICE:
        raise ValueError(f"The sunset must be at least {SHORTEST_NOTICE.days} days after {since}; it is {sunset}.")
    member = {"since": since.isoformat(), "sunset": sunset.isoformat(), "instead": instead}
    return {"deprecated": True, "openapi_extra": {_MEMBER: member}}


def deprecation_of(openapi_extra: dict[str, Any] | None) -> Deprecation | None:
    """Return how a route is deprecated, or None."""
    member = (openapi_extra or {}).get(_MEMBER)
    if member is None:
        return None
    return Deprecation(date.fromisoformat(member["since"]), date.fromisoformat(member["sunset"]), member["instead"])


def announcing(send: Send, deprecation: Deprecation) -> Callable[[Message], Any]:
    """Return a `send` that adds the headers to the response, whatever its status is."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *deprecation.headers()]
        await send(message)

    return send_with_headers


def describe_deprecation(operation: dict[str, Any]) -> None:
    """Add the headers and the successor to the description of a deprecated operation."""
    found = deprecation_of(operation)
    if found is None:
        return
    note = f"Deprecated since {found.since}, and removed on {found.sunset}. Use {found.instead} instead."
    operation["description"] = f"{operation.get('description', '')}\n\n{note}".strip()
    for response in operation["responses"].values():
        response["headers"] = response.get("headers", {}) | HEADERS


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
