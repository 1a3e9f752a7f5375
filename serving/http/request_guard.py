"""Middleware for every request: ids, host check, rate and body limits, security headers, log line and metrics."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from msgspec import UNSET
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.access_log import RequestLine, Write
from serving.http.body_budget import BodyBudget, BodyShare
from serving.http.error_responses import Problem, problem_of
from serving.http.request_body import RequestBody
from serving.http.request_context import IdSource, RequestIds, bind
from serving.http.security_headers import add_security_headers
from serving.limits.deadlines import Deadlines
from serving.limits.rate_limit_enforcement import CHARGE, Charge, refusal_of
from serving.limits.response_headers import rate_limit_fields
from serving.observability import metrics

Observe = Callable[[str, str, int, float], None]  # method, route template, status, seconds
Admit = Callable[[bytes | None, bytes | None, str], Charge]  # Authorization, Cookie, client address

LARGEST_BODY_BYTES = 1_048_576
BODY_LIMIT_S = 10.0
MAX_AUTHORIZATION_BYTES = 16_384  # a token of an account with many teams is long; the header is a key of caches
MAX_COOKIE_BYTES = 16_384
MAX_QUERY_BYTES = 32_768
MAX_PARAMETERS = 1_000  # each unknown one is an error that takes time to describe
PROBES = frozenset({"/livez", "/readyz"})  # they name a host by its address, and must not be refused
UNLIMITED = PROBES | {"/metrics"}
UNCHARGED = "unlimited requests"  # whose bodies share the budget of one address
IDS = "okr.request_ids"  # the key of the RequestIds in the scope
_READ = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"content-encoding", b"authorization", b"cookie",
     b"x-request-id", b"traceparent"}
)  # fmt: skip
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLOSED_BY_CLIENT = 499  # logged when the client left before its body was complete


class RequestGuard:
    """ASGI middleware around the whole application. The body is read here, so routes need not wait for slow clients.

    Requests with an unknown Host header are rejected. This prevents DNS rebinding, in which a page on another host name
    that resolves to this server could read its responses.
    """

    def __init__(  # noqa: PLR0913 -- what it guards with
        self, app: ASGIApp, *, api_url: str, admit: Admit, observe: Observe, log: Write,
        body_limit_s: float = BODY_LIMIT_S, bodies: BodyBudget | None = None,
    ) -> None:  # fmt: skip
        self._app = app
        self._admit = admit
        self._observe = observe
        self._log = log
        names = ("127.0.0.1", "localhost", "[::1]", urlsplit(api_url).hostname)
        self.hosts = frozenset(name.encode() for name in names if name)
        self._ids = IdSource()
        self._bodies = bodies or BodyBudget()
        self._slow_bodies: Deadlines[asyncio.Task[None]] = Deadlines(body_limit_s, lambda task: task.cancel())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard HTTP requests and pass lifespan events through. There are no web sockets."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        # Of a repeated header, the first value is kept, as in the routes.
        headers = {name: value for name, value in reversed(scope["headers"]) if name in _READ}
        ids = scope[IDS] = self._ids.ids_of(headers.get(b"x-request-id"), headers.get(b"traceparent"))
        bind(ids)
        answer = _Answer(send, ids, is_head=scope["method"] == "HEAD")
        try:
            await self._answer(scope, headers, receive, answer)
        finally:
            took_s = time.perf_counter() - started
            # The path is not logged because it may contain a person's id. Callers can invent methods, too.
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = getattr(scope.get("route"), "path", "(no route)")
            self._observe(method, route, answer.status, took_s)
            took_ms = round(took_s * 1000, 3)
            self._log(
                RequestLine(
                    datetime.now(UTC), method, route, answer.status, took_ms, ids.request_id,
                    ids.trace_id or UNSET, answer.refused_by or UNSET,
                )
            )  # fmt: skip

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, answer: "_Answer") -> None:
        problem = self._problem(scope, headers, answer)
        if problem is not None:
            await _refuse(problem, scope, receive, answer)
        elif b"content-length" in headers or b"transfer-encoding" in headers:
            await self._answer_with_body(scope, receive, answer)
        else:
            await self._run(scope, receive, answer)

    async def _answer_with_body(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        body = RequestBody(receive)
        share = self._bodies.share(UNCHARGED if answer.charge is None else answer.charge.address)
        try:
            problem = await self._read(body, share)
            if body.is_abandoned:
                answer.status = _CLOSED_BY_CLIENT
            elif problem is not None:
                await _refuse(problem, scope, receive, answer)
            else:
                await self._run(scope, body, answer)
        finally:
            share.give_back()

    async def _run(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        # HEAD is handled as GET, and the body is omitted.
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        await self._app(inner, receive, answer)
        if inner is not scope and "route" in inner:
            scope["route"] = inner["route"]

    def _problem(self, scope: Scope, headers: dict[bytes, bytes], answer: "_Answer") -> Problem | None:
        """Return why the request is refused before its body is read, or None."""
        host = headers.get(b"host", b"")
        is_probe = scope["path"] in PROBES
        if host not in self.hosts and host.rpartition(b":")[0] not in self.hosts and not is_probe:
            return _unknown_host()
        if problem := _too_large_head(scope, headers):
            return problem
        if scope["path"] not in UNLIMITED or scope["query_string"]:
            client = scope["client"]
            charge = scope[CHARGE] = answer.charge = self._admit(
                headers.get(b"authorization"), headers.get(b"cookie"), client[0] if client else "unknown"
            )
            if refused := refusal_of(charge):
                return problem_of(refused)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > LARGEST_BODY_BYTES:
            return _too_large()
        if headers.get(b"content-encoding", b"identity").strip().lower() not in {b"identity", b""}:
            detail = "Content-Encoding is not supported. Send the body uncompressed."
            return Problem(415, detail, "unknown-encoding")
        return None

    async def _read(self, body: RequestBody, share: BodyShare) -> Problem | None:
        """Read the body. Return a problem if it is too large or too slow, or if there are too many bodies."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("An ASGI application runs in a task.")
        self._slow_bodies.add(task)
        try:
            while await body.read_part():
                if body.size > LARGEST_BODY_BYTES:
                    return _too_large()
                if not share.take(body.newest_size):
                    return _too_many_bodies()
        except asyncio.CancelledError:
            if self._slow_bodies.remove(task):  # cancelled for another reason, such as the end of the server
                raise
            task.uncancel()
            return _too_slow(self._slow_bodies.limit_s)
        finally:
            self._slow_bodies.remove(task)
        return None


class _Answer:
    """The `send` of a request: it adds headers and notes the status.

    The answer to HEAD is complete with its headers. The application then sees a disconnected client, so it does not
    compute an export that no one reads, and a stream of events does not keep the connection.
    """

    __slots__ = ("_ids", "_is_head", "_send", "charge", "refused_by", "status")

    def __init__(self, send: Send, ids: RequestIds, *, is_head: bool) -> None:
        self._send = send
        self._ids = ids
        self._is_head = is_head
        self.status = 0
        self.charge: Charge | None = None
        self.refused_by: str | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = add_security_headers(message.get("headers", ()))
            if self.charge is not None:
                headers += rate_limit_fields(self.charge.decision)
            headers.append((b"x-request-id", self._ids.request_id.encode()))
            message["headers"] = headers
            await self._send(message)
            if self._is_head:
                await self._send({"type": "http.response.body", "body": b""})
        elif not self._is_head:
            await self._send(message)


async def _refuse(problem: Problem, scope: Scope, receive: Receive, answer: _Answer) -> None:
    metrics.REFUSALS.labels(problem.slug).inc()
    answer.refused_by = problem.slug
    await problem.response()(scope, receive, answer)


def _too_large_head(scope: Scope, headers: dict[bytes, bytes]) -> Problem | None:
    if (
        len(headers.get(b"authorization", b"")) > MAX_AUTHORIZATION_BYTES
        or len(headers.get(b"cookie", b"")) > MAX_COOKIE_BYTES
    ):
        detail = (
            f"The header Authorization may have at most {MAX_AUTHORIZATION_BYTES} bytes, and Cookie {MAX_COOKIE_BYTES}."
        )
        return Problem(431, detail, "credential-too-large")
    query = scope["query_string"]
    if len(query) > MAX_QUERY_BYTES or query.count(b"&") >= MAX_PARAMETERS:
        detail = f"The query string of a URL may have at most {MAX_QUERY_BYTES} bytes and {MAX_PARAMETERS} parameters."
        return Problem(414, detail, "query-too-large")
    return None


def _unknown_host() -> Problem:
    detail = "The Host header does not name this service. OKR_API_URL sets the accepted host."
    return Problem(400, detail, "unknown-host")


def _too_large() -> Problem:
    detail = f"A body may have at most {LARGEST_BODY_BYTES} bytes; split the content into several requests."
    return Problem(413, detail, "body-too-large", {"Connection": "close"})


def _too_many_bodies() -> Problem:
    detail = (
        "The bodies of the requests in progress are too large in total (of all requests, or of those whose credential "
        "this worker has not verified yet). Try again after the time in Retry-After."
    )
    return Problem(503, detail, "overloaded", {"Retry-After": "2", "Connection": "close"})


def _too_slow(limit_s: float) -> Problem:
    detail = f"The body did not arrive within {limit_s:g} s."
    return Problem(408, detail, "body-too-slow", {"Connection": "close"})
