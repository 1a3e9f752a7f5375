"""Turn the definition of an operation into a method of the synchronous and of the asynchronous client.

A definition is a function that returns a `Call`. The methods have its parameters and its documentation.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import msgspec

from okr_client.calls import Call
from okr_client.event_stream import ServerEvent, follow, follow_async
from okr_client.listings import AsyncDataListing, AsyncListing, DataListing, Listing
from okr_client.transports import AsyncTransport, Transport

P = ParamSpec("P")
T = TypeVar("T")
Made = TypeVar("Made")
Page = TypeVar("Page", bound=msgspec.Struct)
Row = TypeVar("Row")


class Group:
    """Operations with blocking calls."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport


class AsyncGroup:
    """Operations with coroutines."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport


class Method(Generic[P, Made]):
    """Describes a method of a group: `make` turns a transport and a call into the result."""

    def __init__(self, definition: Callable[P, Call[Any]], make: Callable[[Any, Call[Any]], Made]) -> None:
        self.definition = definition
        self._make = make
        self.__doc__ = definition.__doc__

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...

    @overload
    def __get__(self, group: Group | AsyncGroup, owner: type) -> Callable[P, Made]: ...

    def __get__(self, group: Group | AsyncGroup | None, owner: type) -> Self | Callable[P, Made]:
        """Return the method of a group."""
        if group is None:
            return self
        transport = group._transport

        @wraps(self.definition)
        def method(*args: P.args, **kwargs: P.kwargs) -> Made:
            return self._make(transport, self.definition(*args, **kwargs))

        return method


def called(definition: Callable[P, Call[T]]) -> Method[P, T]:
    """Return a method that sends a request."""
    return Method(definition, Transport.call)


def called_async(definition: Callable[P, Call[T]]) -> Method[P, Awaitable[T]]:
    """Return a method that sends a request."""
    return Method(definition, AsyncTransport.call)


def listed(definition: Callable[P, Call[Page]], rows: str, row: type[Row]) -> Method[P, Listing[Page, Row]]:
    """Return a method that returns a list. `rows` is the field of a page that has the rows, of the type `row`."""
    return Method(definition, lambda transport, call: Listing[Page, Row](transport, call, rows))


def listed_async(definition: Callable[P, Call[Page]], rows: str, row: type[Row]) -> Method[P, AsyncListing[Page, Row]]:
    """Return a method that returns a list."""
    return Method(definition, lambda transport, call: AsyncListing[Page, Row](transport, call, rows))


def data_listed(definition: Callable[P, Call[Page]], rows: str, row: type[Row]) -> Method[P, DataListing[Page, Row]]:
    """Return a method that returns a list of published data."""
    return Method(definition, lambda transport, call: DataListing[Page, Row](transport, call, rows))


def data_listed_async(
    definition: Callable[P, Call[Page]], rows: str, row: type[Row]
) -> Method[P, AsyncDataListing[Page, Row]]:
    """Return a method that returns a list of published data."""
    return Method(definition, lambda transport, call: AsyncDataListing[Page, Row](transport, call, rows))


def followed(definition: Callable[P, Call[Any]]) -> Method[P, Iterator[ServerEvent]]:
    """Return a method that follows server-sent events, without end. The connection is restored when it breaks."""
    return Method(definition, follow)


def followed_async(definition: Callable[P, Call[Any]]) -> Method[P, AsyncIterator[ServerEvent]]:
    """Return a method that follows server-sent events, without end. The connection is restored when it breaks."""
    return Method(definition, follow_async)
