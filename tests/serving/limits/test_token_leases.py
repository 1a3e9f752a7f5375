"""A client gets what its plan allows, from any number of workers, with and without Redis."""

import time
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from lakehouse.settings import Settings
from serving.limits.rate_plan import RatePlan
from serving.limits.response_headers import rate_limit_fields, retry_after_s
from serving.limits.token_bucket import MOST_LOCAL_BUCKETS, LocalBuckets, SharedBuckets, limited_client
from serving.limits.token_leases import RateLimiter

SLOW = RatePlan("slow", 0.01, 7)  # no token comes back during a test


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def client(redis_server: Settings) -> Iterator["redis.Redis"]:
    """A client that waits for Redis longer than the API does, so that on a busy machine Redis stays available."""
    with closing(redis.Redis.from_url(redis_server.require("redis_url"), socket_timeout=30)) as client:
        yield client


@pytest.fixture
def key() -> str:
    return f"user:{uuid.uuid4().hex}"


def allowed(limiter: RateLimiter, key: str, plan: RatePlan, requests: int) -> int:
    return sum(limiter.take(key, plan).is_allowed for _ in range(requests))


@pytest.mark.parametrize("has_redis", [True, False])
def test_a_burst_is_allowed_and_not_one_request_more(client: "redis.Redis", key: str, has_redis: bool) -> None:
    shared = SharedBuckets(client)
    shared.is_available = has_redis
    limiter = RateLimiter(shared, LocalBuckets())
    assert allowed(limiter, key, SLOW, 50) == SLOW.burst
    decision = limiter.take(key, SLOW)
    assert 90 < decision.wait_s <= 100
    assert shared.is_available == has_redis


@pytest.mark.parametrize("has_redis", [True, False])
def test_tokens_come_back_at_the_plan_s_rate(client: "redis.Redis", key: str, has_redis: bool) -> None:
    shared = SharedBuckets(client)
    shared.is_available = has_redis
    limiter, plan = RateLimiter(shared, LocalBuckets()), RatePlan("steady", 10.0, 100)
    times, count = [time.monotonic()], 0
    for pause_s in (0.0, 0.45):
        time.sleep(pause_s)
        times.append(time.monotonic())
        while limiter.take(key, plan).is_allowed:
            count += 1
        times.append(time.monotonic())
    at_least, at_most = times[3] - times[2], times[4] - times[0]  # seconds in which tokens came back
    assert plan.burst + at_least * 10 - 1.1 <= count <= plan.burst + at_most * 10 + 0.1


def test_four_workers_together_allow_one_plan(client: "redis.Redis", key: str) -> None:
    plan = RatePlan("shared", 0.01, 1_000)
    workers = [RateLimiter(SharedBuckets(client), LocalBuckets()) for _ in range(4)]
    assert sum(worker.take(key, plan).is_allowed for _ in range(1_000) for worker in workers) == plan.burst


def test_a_busy_client_costs_few_calls_to_redis(client: "redis.Redis", key: str, redis_admin: "redis.Redis") -> None:
    plan = RatePlan("busy", 10_000.0, 10_000)
    limiter = RateLimiter(SharedBuckets(client), LocalBuckets())
    before = redis_admin.info("commandstats")["cmdstat_evalsha"]["calls"] if allowed(limiter, key, plan, 1) else 0
    assert allowed(limiter, key, plan, 5_000) == 5_000
    assert redis_admin.info("commandstats")["cmdstat_evalsha"]["calls"] - before < 20


def test_a_refused_client_costs_no_calls_until_a_token_is_due(
    client: "redis.Redis", key: str, redis_admin: "redis.Redis"
) -> None:
    limiter = RateLimiter(SharedBuckets(client), LocalBuckets())
    allowed(limiter, key, SLOW, 10)
    before = redis_admin.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert allowed(limiter, key, SLOW, 1_000) == 0
    assert redis_admin.info("commandstats")["cmdstat_evalsha"]["calls"] == before


def test_a_client_that_waits_for_retry_after_is_allowed(client: "redis.Redis", key: str) -> None:
    """Others gave a time that was too early, zero or negative (github.com/alisaifee/flask-limiter/issues/62)."""
    limiter, plan = RateLimiter(SharedBuckets(client), LocalBuckets()), RatePlan("patient", 1.5, 2)
    for _ in range(2):
        while (decision := limiter.take(key, plan)).is_allowed:
            pass
        seconds = retry_after_s(decision)
        assert 1 <= seconds <= 2
        time.sleep(seconds)
        assert limiter.take(key, plan).is_allowed


def test_workers_whose_clocks_differ_share_one_plan(client: "redis.Redis", key: str) -> None:
    """Others filled the bucket again for each host with another time (github.com/zeromicro/go-zero/issues/4072,
    github.com/spring-cloud/spring-cloud-gateway/issues/2412)."""
    clocks = [Clock() for _ in range(4)]
    for hours, clock in enumerate(clocks):
        clock.now += 3600 * hours
    workers = [RateLimiter(SharedBuckets(client), LocalBuckets(), clock) for clock in clocks]
    assert sum(worker.take(key, SLOW).is_allowed for _ in range(20) for worker in workers) == SLOW.burst


def test_an_occasional_client_leases_single_tokens(client: "redis.Redis", key: str) -> None:
    clock, plan = Clock(), RatePlan("rare", 0.01, 1_000)
    workers = [RateLimiter(SharedBuckets(client), LocalBuckets(), clock) for _ in range(8)]
    for _ in range(10):
        for worker in workers:
            assert worker.take(key, plan).is_allowed
        clock.now += 5.0
    assert workers[0].take(key, plan).remaining == 1_000 - 81, "no worker holds tokens that it does not use"


def test_an_unavailable_redis_is_asked_once(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedBuckets(limited_client("redis://127.0.0.1:9/0"))
    asked, take = [], shared._take
    monkeypatch.setattr(shared, "_take", lambda keys, values: asked.append(keys) or take(keys, values))
    limiter = RateLimiter(shared, LocalBuckets())
    assert allowed(limiter, key, SLOW, 1) == 1
    assert not shared.is_available
    assert allowed(limiter, key, SLOW, 1_000) == SLOW.burst - 1
    assert len(asked) == 1
    shared.reconnect()
    assert not shared.is_available


def test_redis_is_used_again_when_it_is_back(client: "redis.Redis", key: str, redis_admin: "redis.Redis") -> None:
    shared = SharedBuckets(client)
    shared.is_available = False
    limiter = RateLimiter(shared, LocalBuckets())
    allowed(limiter, key, SLOW, 3)
    shared.reconnect()
    assert redis_admin.exists(f"okr:rate:{key}") == 0
    allowed(limiter, key, SLOW, 3)
    assert redis_admin.exists(f"okr:rate:{key}") == 1


@pytest.mark.parametrize("has_redis", [True, False])
def test_a_changed_plan_applies_at_once(client: "redis.Redis", key: str, has_redis: bool) -> None:
    shared = SharedBuckets(client)
    shared.is_available = has_redis
    limiter = RateLimiter(shared, LocalBuckets())
    assert allowed(limiter, key, SLOW, 10) == 7
    assert allowed(limiter, key, RatePlan("slow", 0.01, 20), 30) == 13
    faster = RatePlan("slow", 100.0, 20)
    assert 0 < limiter.take(key, faster).wait_s < 0.011, "what the slower plan owed is forgotten"


@pytest.mark.parametrize("has_redis", [True, False])
def test_a_request_costs_all_of_its_tokens_or_none(client: "redis.Redis", key: str, has_redis: bool) -> None:
    shared = SharedBuckets(client)
    shared.is_available = has_redis
    limiter = RateLimiter(shared, LocalBuckets())
    assert [limiter.take(key, SLOW, 3).is_allowed for _ in range(3)] == [True, True, False]
    refused = limiter.take(key, SLOW, 3)
    assert 190 < refused.wait_s <= 200, "two tokens are missing"
    assert limiter.take(key, SLOW).is_allowed, "the last token was not taken in vain"
    assert not limiter.take(key, SLOW).is_allowed


@pytest.mark.parametrize("tokens", [1, 3, 1_000])
def test_tokens_that_are_given_back_can_be_spent_again(client: "redis.Redis", key: str, tokens: int) -> None:
    limiter = RateLimiter(SharedBuckets(client), LocalBuckets())
    assert limiter.take(key, SLOW, tokens).is_allowed
    limiter.give_back(key, SLOW, tokens)
    assert allowed(limiter, key, SLOW, 20) == SLOW.burst


def test_a_request_that_costs_more_than_the_bucket_needs_a_full_one(client: "redis.Redis", key: str) -> None:
    limiter = RateLimiter(SharedBuckets(client), LocalBuckets())
    assert limiter.take(key, SLOW, 1_000).is_allowed
    assert not limiter.take(key, SLOW).is_allowed


def test_new_keys_do_not_refill_the_buckets_of_others() -> None:
    """Without Redis, so that a flood from many addresses would reset the limits of everybody else."""
    shared = SharedBuckets(redis.Redis(port=9))
    shared.is_available = False
    limiter = RateLimiter(shared, LocalBuckets())
    assert allowed(limiter, "user:busy", SLOW, 10) == SLOW.burst
    for number in range(25_000):
        limiter.take(f"address:{number}", SLOW)
    assert allowed(limiter, "user:busy", SLOW, 10) == 0


def test_only_as_many_buckets_are_dropped_as_are_too_many() -> None:
    buckets, quick = LocalBuckets(), RatePlan("quick", 1_000.0, 1)
    for number in range(9_000):
        buckets.take(f"user:{number}", SLOW, 1)
    for number in range(MOST_LOCAL_BUCKETS - 9_000):
        buckets.take(f"address:{number}", quick, 1)
    time.sleep(0.01)  # those are full again, so that there are fewer than half of the most
    buckets.take("address:new", quick, 1)
    assert {buckets.take(f"user:{number}", SLOW, 7).tokens for number in range(9_000)} == {6}


def test_a_million_keys_take_bounded_memory() -> None:
    shared = SharedBuckets(redis.Redis(port=9))
    shared.is_available = False
    limiter = RateLimiter(shared, LocalBuckets())
    for number in range(60_000):
        assert limiter.take(f"address:{number}", SLOW).is_allowed
    assert len(limiter._leases) <= 20_001
    assert len(limiter._local._full_at) <= 20_001


def test_the_headers_say_the_plan_and_what_is_left(client: "redis.Redis", key: str) -> None:
    plan = RatePlan("standard", 10.0, 40)
    limiter = RateLimiter(SharedBuckets(client), LocalBuckets())
    fields = dict(rate_limit_fields(limiter.take(key, plan)))
    assert fields == {b"ratelimit-policy": b'"standard";q=40;w=4', b"ratelimit": b'"standard";r=39;t=1'}
    allowed(limiter, key, plan, 45)
    refused = limiter.take(key, plan)
    assert dict(rate_limit_fields(refused))[b"ratelimit"] == b'"standard";r=0;t=1'
    assert retry_after_s(refused) == 1
