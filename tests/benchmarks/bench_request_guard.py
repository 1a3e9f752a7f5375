"""What the guard adds to every request, and what one decision of the rate limiter takes, in CPU time without a socket.

`make bench ARGS=tests/benchmarks/bench_request_guard.py` prints both.
"""

import asyncio
import contextvars
import os
import statistics
import time
from collections.abc import Callable

import pytest
import redis
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.access_log import json_writer
from serving.http.request_guard import RequestGuard
from serving.http.request_metrics import RequestMetrics
from serving.limits.rate_limit_enforcement import Charge
from serving.limits.rate_plan import RatePlan, RatePlans
from serving.limits.token_bucket import LocalBuckets, SharedBuckets
from serving.limits.token_leases import RateLimiter
from serving.publication_reader import Warehouse

REQUESTS = 20_000
ROUNDS = 7
PLAN = RatePlan("internal", 1e6, 1_000_000)
BODY = b'{"key_result_ids": ["k1"]}'
HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"wrk"),
    (b"accept", b"*/*"),
    (b"authorization", b"Bearer " + b"x" * 400),
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(BODY)),
]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and send an answer, as a layer that answers from memory does."""
    body = (await receive())["body"]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _send(_message: Message) -> None:
    """Drop what the application sends."""


async def _receive() -> Message:
    return {"type": "http.request", "body": BODY, "more_body": False}


def microseconds_per_request(app: ASGIApp) -> float:
    """Return the median over rounds of the CPU time of one request, each in its own task and context, as in uvicorn."""

    async def run() -> float:
        started = time.process_time()
        for _ in range(REQUESTS):
            scope = {
                "type": "http", "path": "/predict", "method": "POST", "headers": HEADERS, "client": ("127.0.0.1", 1),
                "state": {}, "query_string": b"",
            }  # fmt: skip
            await asyncio.create_task(app(scope, _receive, _send), context=contextvars.copy_context())  # type: ignore[arg-type]
        return (time.process_time() - started) / REQUESTS * 1e6

    return statistics.median(asyncio.run(run()) for _ in range(ROUNDS))


@pytest.fixture
def limiter() -> RateLimiter:
    """A limiter without Redis: a lease is renewed from this process, which costs no more than an answer of Redis."""
    shared = SharedBuckets(redis.Redis(port=9))
    shared.is_available = False
    return RateLimiter(shared, LocalBuckets())


def test_the_guard_adds_little_to_a_request(limiter: RateLimiter) -> None:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    plans = RatePlans(Warehouse(""))
    plans._by_name = {PLAN.name: PLAN}
    guard = RequestGuard(
        echo,
        api_url="http://127.0.0.1:8000",
        admit=lambda _authorization, _cookie, _address: Charge(limiter, plans, "user:app", PLAN.name),
        observe=RequestMetrics().observe,
        log=json_writer(descriptor),
    )
    bare, guarded = microseconds_per_request(echo), microseconds_per_request(guard)
    os.close(descriptor)
    print(f"\nbare {bare:.1f} us, guarded {guarded:.1f} us: the guard adds {guarded - bare:.1f} us a request")
    assert guarded - bare < 20


def test_a_decision_on_a_leased_token_takes_less_than_a_microsecond(limiter: RateLimiter) -> None:
    def nanoseconds(work: Callable[[], object]) -> float:
        started = time.process_time_ns()
        for _ in range(REQUESTS):
            work()
        return (time.process_time_ns() - started) / REQUESTS

    took = statistics.median(nanoseconds(lambda: limiter.take("user:app", PLAN)) for _ in range(ROUNDS))
    print(f"\na decision takes {took:.0f} ns")
    assert took < 1_000
