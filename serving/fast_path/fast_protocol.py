"""Answer the most common requests in uvicorn's protocol class, as soon as they are complete.

An ASGI application gets a task, a scope and several messages for each request, which takes longer than looking up a
forecast. All other requests go to the application.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.limits.slow_clients import ConnectionLimits, LimitedProtocol

Header = tuple[bytes, bytes]

URL = b"/predict"
HEAD_END = b"\r\n\r\n"
STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
HOLD_S = 0.05  # for how long a request waits here for the rest of its body
HOLD_BYTES = 65_536  # what uvicorn itself reads before the application does
MOST_HEADS = 1_000
LARGEST_HEAD_BYTES = 4_096  # with the token of an account of the whole installation, a head has 700 bytes


class Head(NamedTuple):
    """What is needed of the headers of a common request. `credential` is the header Authorization as text."""

    credential: str
    request_id: bytes | None
    traceparent: bytes | None


class FastPath(Protocol):
    """Answers common requests. Neither method may block."""

    def read_head(self, headers: Sequence[Header]) -> Head | None:
        """Return what is needed of the headers of a POST /predict, or None if the application should answer."""
        ...

    def answer(self, head: Head, body: bytes) -> tuple[bytes, bytes] | None:
        """Return the header lines and the body of the response with status 200, or None likewise."""
        ...


class FastApplication:
    """An ASGI application with a fast path beside it, which `FastProtocol` uses."""

    def __init__(self, app: ASGIApp, fast_path: FastPath) -> None:
        self._app = app
        self.fast_path = fast_path
        self.heads: dict[bytes, tuple[Head, int]] = {}
        """The heads of requests that were answered, byte by byte, and the lengths of their bodies."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""
        await self._app(scope, receive, send)

    def remember(self, data: bytes, head: Head, body_bytes: int) -> None:
        """Remember the head of a request, unless it contains ids of the request. `data` is the whole request."""
        head_bytes = len(data) - body_bytes
        if head.request_id is None and head.traceparent is None and head_bytes <= LARGEST_HEAD_BYTES:
            if len(self.heads) >= MOST_HEADS:
                self.heads.clear()
            self.heads[data[:head_bytes]] = head, body_bytes


class FastProtocol(LimitedProtocol):
    """One connection. A request that may be answered fast is held back until its body is complete.

    Many clients send the headers and the body separately. A body that takes longer than HOLD_S or is larger than
    HOLD_BYTES goes to the application, which limits slow clients and large bodies.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fast: FastApplication | None = self.app if isinstance(self.app, FastApplication) else None
        self._is_between_requests = True
        self._held: list[bytes] | None = None
        """The parts of the body of the request that is held back."""
        self._held_bytes = 0
        self._release_later: asyncio.TimerHandle | None = None
        self._data = b""  # just received, if it starts with a request
        self._has_answered = False  # within the data just received

    def data_received(self, data: bytes) -> None:
        """Answer a request whose head is known, or parse the data. Release a held request that waits for too long."""
        if self._is_between_requests and self._fast is not None and self._answer_known(data, self._fast):
            return
        self._data = data if self._is_between_requests else b""
        super().data_received(data)
        if self._held is not None and self._release_later is None:
            self._release_later = self.loop.call_later(HOLD_S, self._release)
        if self._has_answered:
            self._has_answered = False
            if self._held is None and self._is_idle():
                self.await_headers()

    def _answer_known(self, data: bytes, fast: FastApplication) -> bool:
        """Answer if the data is exactly one request, whose head has been parsed and accepted before."""
        body_at = data.find(HEAD_END) + len(HEAD_END)
        known = fast.heads.get(data[:body_at])
        if known is None or len(data) != body_at + known[1] or not self._can_answer():
            return False
        answer = fast.fast_path.answer(known[0], data[body_at:])
        if answer is None:
            return False
        self.end_headers()
        self._respond(answer)
        self.await_headers()
        return True

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection. Requests with a known head do not restart the timer, so look when the last came."""
        waits_s = self.waits_for_headers_s()
        if waits_s is not None and waits_s < self.timeout_keep_alive:
            left_s = self.timeout_keep_alive - waits_s
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def on_message_begin(self) -> None:
        """Start to read a request."""
        self._is_between_requests = False
        super().on_message_begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the application know of a request that will never be complete."""
        self._release()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Hold a request back if it may be answered fast, else start it."""
        if self.url == URL and self._fast is not None and self._is_usual() and not self.has_large_headers():
            self._held, self._held_bytes = [], 0
            self.end_headers()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._held is None:
            super().on_body(body)
            return
        self._held.append(body)
        self._held_bytes += len(body)
        if self._held_bytes > HOLD_BYTES:
            self._release()

    def on_message_complete(self) -> None:
        """Answer the request that is held back, or let the application do it."""
        self._is_between_requests = True
        held, fast = self._held, self._fast
        if held is None or fast is None:
            super().on_message_complete()
            return
        body = held[0] if len(held) == 1 else b"".join(held)
        head = fast.fast_path.read_head(self.headers) if self._can_answer() else None
        answer = None if head is None else fast.fast_path.answer(head, body)
        if head is None or answer is None:
            self._release()
            super().on_message_complete()
            return
        self._end_hold()
        self._has_answered = True
        self._respond(answer)
        if self._data.find(HEAD_END) + len(HEAD_END) + len(body) == len(self._data):  # exactly this request
            fast.remember(self._data, head, len(body))

    def _respond(self, answer: tuple[bytes, bytes]) -> None:
        defaults = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(b"".join([STATUS_LINE, *defaults, *answer]))
        if self.timeout_keep_alive_task is None:
            HttpToolsProtocol.on_response_complete(self)
        else:
            self.server_state.total_requests += 1

    def _release(self) -> None:
        """Start the request that is held back, if there is one, as if it had not been."""
        held = self._held
        if held is None:
            return
        self._end_hold()
        super().on_headers_complete()
        for part in held:
            super().on_body(part)

    def _end_hold(self) -> None:
        self._held = None
        if self._release_later is not None:
            self._release_later.cancel()
            self._release_later = None

    def _is_idle(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _can_answer(self) -> bool:
        """Return whether a response can be written now, and the connection stays open after it."""
        return self._is_idle() and not self.is_draining and not self.flow.write_paused

    def _is_usual(self) -> bool:
        """Return whether the request is plain HTTP/1.1, on a connection that stays open."""
        parser = self.parser
        return (
            self._can_answer()
            and not self.expect_100_continue
            and parser.get_method() == b"POST"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and parser.get_http_version() == "1.1"
        )


def limited(limits: ConnectionLimits) -> type[FastProtocol]:
    """Return a protocol class with other limits."""
    return type("OtherLimits", (FastProtocol,), {"limits": limits})
