"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): the live figures."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import msgspec

from okr_client.calls import Call
from okr_client.errors import Unavailable
from okr_client.exchange import Sleep
from okr_client.transports import AsyncTransport, Transport

RECONNECT_S = 3.0


@dataclass(frozen=True)
class ServerEvent:
    """An event of a stream. `data` is its JSON, or None if it has none."""

    event: str
    data: Any = None


@dataclass
class Parser:
    """Collects the lines of a stream until an event is complete."""

    reconnect_s: float = RECONNECT_S
    """How long to wait before the next connection, as the server asks."""
    _event: str = "message"
    _data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> ServerEvent | None:
        """Return the event that a line completes, if it completes one."""
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "retry" and value.isdecimal():
            self.reconnect_s = int(value) / 1000
        return None

    def _complete(self) -> ServerEvent | None:
        event, data = self._event, "\n".join(self._data)
        is_empty = not self._data and event == "message"
        self._event, self._data = "message", []
        return None if is_empty else ServerEvent(event, msgspec.json.decode(data) if data else None)


def follow(transport: Transport, call: Call[Any]) -> Iterator[ServerEvent]:
    """Yield events, and connect again when the stream ends, with a valid login."""
    parser = Parser()
    while True:
        try:
            with transport.stream(call) as lines:
                for line in lines:
                    if (event := parser.feed(line)) is not None:
                        yield event
        except (httpx.TransportError, Unavailable):
            pass  # the service restarts, or has no room for another client now
        transport.run(_wait(parser.reconnect_s))
        parser = Parser(parser.reconnect_s)


async def follow_async(transport: AsyncTransport, call: Call[Any]) -> AsyncIterator[ServerEvent]:
    """Do the same with coroutines."""
    parser = Parser()
    while True:
        try:
            async with transport.stream(call) as lines:
                async for line in lines:
                    if (event := parser.feed(line)) is not None:
                        yield event
        except (httpx.TransportError, Unavailable):
            pass  # as in `follow`
        await anyio.sleep(parser.reconnect_s)
        parser = Parser(parser.reconnect_s)


def _wait(seconds: float) -> Any:
    yield Sleep(seconds)
