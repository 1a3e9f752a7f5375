"""A call of an operation: everything that the generated code knows about a request and its response."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import msgspec

from okr_client.errors import InvalidResponse

T = TypeVar("T")
SAFE = frozenset({"GET", "HEAD"})
IDEMPOTENCY_KEY = "Idempotency-Key"
NO_CONTENT = 204


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and the type of the response's JSON."""

    method: str
    path: str
    returns: Any
    """The type of the response's JSON; bytes for other content; None if there is none."""
    path_values: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether the request can be sent again without any further effect."""
        return self.method in SAFE or self.headers.get(IDEMPOTENCY_KEY) is not None

    def request(self, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """Return the HTTP request. Values that are None are omitted."""
        path = self.path
        for name, value in self.path_values.items():
            path = path.replace(f"{{{name}}}", quote(_text(value), safe=""))
        headers = {name: _text(value) for name, value in self.headers.items() if value is not None}
        content = None
        if self.body is not None:
            content = msgspec.json.encode({name: value for name, value in self.body.items() if value is not None})
            headers["Content-Type"] = "application/json"
        parameters: list[tuple[str, str | int | float | bool | None]] = [
            (name, _text(each)) for name, value in self.query.items() for each in _values(value)
        ]
        return client.build_request(self.method, path, params=parameters or None, headers=headers, content=content)

    def result(self, response: httpx.Response) -> T:
        """Return the content of a response.

        Raises:
            InvalidResponse: the response does not match the description of the API.
        """
        warn_if_deprecated(response)
        if self.returns is None or response.status_code == NO_CONTENT:
            return cast(T, None)
        if self.returns is bytes:
            return cast(T, response.content)
        try:
            return cast(T, msgspec.json.decode(response.content, type=self.returns))
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise InvalidResponse(f"{self.method} {self.path}: {error}") from error

    def changed(self, *, returns: Any, headers: Mapping[str, Any] | None = None, **query: Any) -> "Call[Any]":
        """Return the same call with other query parameters, headers and another type of response."""
        return replace(
            cast("Call[Any]", self),
            returns=returns,
            query={**self.query, **query},
            headers={**self.headers, **(headers or {})},
        )


def new_idempotency_key() -> str:
    """Return a key for a write, which makes it safe to repeat."""
    return str(uuid4())


def warn_if_deprecated(response: httpx.Response) -> None:
    """Warn about an operation that will be removed (RFC 9745, RFC 8594)."""
    if "deprecation" in response.headers:
        request = response.request
        ends = response.headers.get("sunset", "a date that is not yet known")
        message = f"{request.method} {request.url.path} is deprecated and will be removed at {ends}."
        warnings.warn(f"{message} {response.headers.get('link', '')}".strip(), DeprecationWarning, stacklevel=2)


def _values(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple | set | frozenset) else (value,)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value) if isinstance(value, str | int | float | UUID) else repr(value)
