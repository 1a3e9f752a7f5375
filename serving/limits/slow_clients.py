"""uvicorn's HTTP protocol with limits for slow clients, which uvicorn 0.54 does not have.

uvicorn limits only the pause between two requests. Without further limits, a client that never completes its headers
keeps its connection open, and headers may have any size (slowloris). Bodies have a limit in `RequestGuard`.

An `Upgrade` is ignored, as RFC 9110 (7.8) allows: there is no other protocol. httptools ends a request with an upgrade
at its headers, so uvicorn would read its body as another request (request smuggling).
"""

import asyncio
import resource
import socket
from dataclasses import dataclass, field
from typing import Any, ClassVar

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from serving.http.error_responses import Problem
from serving.observability import metrics
from serving.processes.draining import DrainingProtocol

RESERVED_FILES = 256  # file descriptors that are not for client connections
MOST_CONNECTIONS = 5_000
DETAILS = {
    "connections": "This worker has too many connections. Try again later.",
    "headers_too_large": "There are too many headers, or they are too large together with the request line. Send fewer "
    "headers, less in the query, or a body.",
    "headers_too_slow": "The headers of the request did not arrive in time. Send the request again.",
    "no_http": "Expected a request in the format of HTTP/1.1 (RFC 9112) whose target has at most 65,535 bytes.",
}


def _most_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(64, min(MOST_CONNECTIONS, files - RESERVED_FILES))


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of a client connection.

    `headers_s` is the time for the headers of a request, from the opening of the connection or the previous response.
    `headers` is their number, because a header of 4 bytes takes 120 bytes of memory.
    `write_s` is the time in which a client must accept some part of a response. `connections` is per worker.
    """

    headers_s: float = 10.0
    headers_bytes: int = 65_536
    headers: int = 100
    write_s: float = 30.0
    connections: int = field(default_factory=_most_connections)


class LimitedProtocol(DrainingProtocol):
    """One connection. A single timer per worker looks for connections that have waited too long for headers."""

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    _is_watching: ClassVar[bool] = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waits_since: float | None = None
        self._received_bytes = 0  # since the previous request
        self._header_bytes = 0
        self._is_in_headers = self._is_refused = False
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, or refuse it if there are too many."""
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        # The kernel closes a connection whose peer accepts no data for this time, even if its window is closed.
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.limits.write_s * 1000))
        if len(self.connections) > self.limits.connections:
            self._refuse(b"503 Service Unavailable", "connections")
        elif not type(self)._is_watching:
            type(self)._is_watching = True
            self.loop.call_later(self.limits.headers_s / 10, self._watch, self.loop, self.connections)

    def data_received(self, data: bytes) -> None:
        """Parse data, and refuse headers that are too large: also an incomplete one, which the parser keeps."""
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except HttpParserError:
            self.send_400_response("")
        if self._waits_since is not None:
            self._received_bytes += len(data)
            is_large = self._is_in_headers and self.has_large_headers()
            if is_large or self._received_bytes > self.limits.headers_bytes:
                self._refuse_headers()

    def _parse(self, data: bytes) -> None:
        """Parse data. The head of a request with an upgrade is parsed again without it, and then what follows it."""
        rest: bytes | memoryview = data
        while rest:
            try:
                self.parser.feed_data(rest)
                rest = b""
            except HttpParserUpgrade as upgrade:
                if self._is_refused:
                    return
                rest = memoryview(rest)[upgrade.args[0] :]
                self._parse_without_upgrade()

    def _parse_without_upgrade(self) -> None:
        head = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        head += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"\r\n".join([*head, b"\r\n"]))

    def on_message_begin(self) -> None:
        """Start to read the headers of a request."""
        self._is_in_headers = True
        self._header_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Keep a part of the request's target."""
        self._header_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Trailers after a chunked body are dropped: no check of the headers would see them."""
        if self._is_in_headers:
            self._header_bytes += len(name) + len(value) + len(b": \r\n")
            if len(self.headers) <= self.limits.headers:  # one more is enough to refuse the request
                super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, unless its headers are too large, or it has an upgrade and will be parsed without it."""
        is_upgrade = self.parser.should_upgrade()
        if self.has_large_headers():
            self.end_headers()
            self._is_refused = True
            self._refuse_headers()
        elif is_upgrade and self.parser.get_method() == b"CONNECT":  # the parser takes what follows for a tunnel
            self.end_headers()
            self._is_refused = True
            self.send_400_response("")
        elif not is_upgrade:
            self.end_headers()
            super().on_headers_complete()

    def end_headers(self) -> None:
        """Stop the limits of headers."""
        self._is_in_headers = False
        self._waits_since = None
        self._received_bytes = 0

    def await_headers(self) -> None:
        """Start the limits of the next request's headers."""
        self._waits_since = self.loop.time()

    def has_large_headers(self) -> bool:
        """Return whether the current request has too many headers, or too large ones."""
        return self._header_bytes > self.limits.headers_bytes or len(self.headers) > self.limits.headers

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, unless its request was refused."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body, unless its request was refused, or this is the end of a head with an upgrade."""
        if not self._is_refused and not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self.cycle.response_complete:  # otherwise a pipelined request has just started
            self.await_headers()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the running request. Of several pipelined requests, uvicorn notifies only the newest one."""
        running, self._running = self._running, None
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def waits_for_headers_s(self) -> float | None:
        """Return for how long the connection has waited for headers, or None during a request."""
        return None if self._waits_since is None else self.loop.time() - self._waits_since

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP."""
        self._refuse(b"400 Bad Request", "no_http")

    def _refuse_headers(self) -> None:
        self._refuse(b"431 Request Header Fields Too Large", "headers_too_large")

    def _refuse(self, status: bytes, reason: str) -> None:
        if self.transport.is_closing():
            return
        metrics.REFUSALS.labels(reason).inc()
        headers = {"Connection": "close"}
        if status.startswith(b"503"):
            headers["Retry-After"] = "1"
        problem = Problem(int(status[:3]), DETAILS[reason], reason.replace("_", "-"), headers).response()
        fields = b"".join(b"%s: %s\r\n" % field for field in problem.raw_headers)
        self.transport.write(b"HTTP/1.1 %s\r\n%s\r\n%s" % (status, fields, bytes(problem.body)))
        self.transport.close()

    @classmethod
    def _watch(cls, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        late = loop.time() - cls.limits.headers_s
        for connection in list(connections):
            if isinstance(connection, cls) and (connection._waits_since or late) < late:
                connection._refuse(b"408 Request Timeout", "headers_too_slow")
        cls._is_watching = bool(connections)
        if cls._is_watching:
            loop.call_later(cls.limits.headers_s / 10, cls._watch, loop, connections)
