"""Middleware for every request: host check, body limit, security headers, one log line and the latency."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.logs import get_logger
from serving.error_responses import Problem

Observe = Callable[[str, str, int, float], None]  # method, route template, status, milliseconds

LARGEST_BODY_BYTES = 1_048_576
CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# The referrer policy is not `no-referrer`, because browsers would then send `Origin: null` with this site's forms.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class RequestGuard:
    """ASGI middleware around the whole application.

    Requests with an unknown Host header are rejected. This prevents DNS rebinding, in which a page on another host name
    that resolves to this server could read its responses.
    """

    def __init__(self, app: ASGIApp, *, api_url: str, observe: Observe) -> None:
        self._app = app
        self._observe = observe
        self._hosts = {"127.0.0.1", "localhost", "[::1]", urlsplit(api_url).hostname or "127.0.0.1"}
        self._log = get_logger(__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard HTTP requests and pass lifespan events through. There are no web sockets."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                _add_headers(MutableHeaders(scope=message))
            await send(message)

        try:
            await self._guarded(scope, receive, send_guarded)
        finally:
            took_ms = round((time.perf_counter() - started) * 1000, 2)
            # The path is not logged because it may contain a person's id.
            route = getattr(scope.get("route"), "path", "(no route)")
            self._log.info("request", method=scope["method"], route=route, status=status, took_ms=took_ms)
            self._observe(scope["method"], route, status, took_ms)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host.rpartition(":")[0] not in self._hosts and host not in self._hosts:
            detail = "The Host header does not name this service. OKR_API_URL sets the accepted host."
            await Problem(400, detail, "unknown-host").response()(scope, receive, send)
            return
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY_BYTES:
            await Problem(413, _too_large(), "body-too-large").response()(scope, receive, send)
            return
        if headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
            detail = "Content-Encoding is not supported. Send the body uncompressed."
            await Problem(415, detail, "unknown-encoding").response()(scope, receive, send)
            return
        # HEAD is handled as GET, and the server omits the body.
        inner_scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        await self._app(inner_scope, _bounded(receive), send)
        scope.update({name: inner_scope[name] for name in ("route",) if name in inner_scope})


def _too_large() -> str:
    return f"A body may have at most {LARGEST_BODY_BYTES} bytes; split the content into several requests."


def _bounded(receive: Receive) -> Receive:
    """Count the body's bytes as they arrive, because a chunked body has no Content-Length."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST_BODY_BYTES:
            raise HTTPException(413, _too_large())
        return message

    return receive_bounded


def _add_headers(headers: MutableHeaders) -> None:
    for name, value in HEADERS.items():
        headers[name] = value
    headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
    headers.setdefault("Cache-Control", "no-store")
