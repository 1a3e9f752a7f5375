"""Accounts count against their plan, everybody else against their address; plans come from the warehouse."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from lakehouse.settings import Settings
from serving.auth.roles import Identity, Role
from serving.limits.rate_limits import RateLimits
from serving.limits.rate_plan import ANONYMOUS, SEEDED, RatePlan, RatePlans
from serving.limits.token_bucket import SharedBuckets, limited_client
from serving.publication_reader import Warehouse

CREDENTIALS = {
    b"Bearer app": ("app", "token:1"),
    b"Bearer app again": ("app", "token:2"),
    b"Bearer key": ("app", "key:k1"),
}


def identity(username: str, credential: str) -> Identity:
    return Identity(username, Role.SERVICE, None, None, (), frozenset(), "service", credential)


@pytest.fixture
def limits(postgres: Settings, redis_server: Settings) -> Iterator[RateLimits]:
    warehouse = Warehouse(postgres.require("dsn_serving"))
    warehouse.open()
    suffix = uuid.uuid4().hex  # buckets of other tests stay full

    def recognise(authorization: bytes | None, cookie: bytes | None) -> Identity | None:
        known = CREDENTIALS.get(authorization or b"")
        return identity(f"{known[0]}{suffix}", f"{known[1]}{suffix}") if known else None

    yield RateLimits(RatePlans(warehouse), SharedBuckets(limited_client(redis_server.require("redis_url"))), recognise)
    warehouse.close()


@pytest.fixture
def counted(limits: RateLimits) -> RateLimits:
    """The limits with plans of 100 requests that do not come back during a test."""
    names = ("standard", "anonymous", "service")
    limits.plans._by_name = {name: RatePlan(name, 0.01, 100) for name in names}
    return limits


def address() -> str:
    return f"test-{uuid.uuid4().hex}"


def test_the_seeded_plans_are_those_of_the_code(limits: RateLimits) -> None:
    limits.plans.refresh()
    for plan in SEEDED:
        assert limits.plans.of(plan.name) == plan
    assert limits.plans.of("no such plan").name == "standard"


def test_a_changed_plan_is_read_and_an_unchanged_one_stays_the_same_object(
    limits: RateLimits, postgres: Settings
) -> None:
    limits.plans.refresh()
    standard = limits.plans.of("standard")
    with psycopg.connect(postgres.require("dsn_serving")) as connection:
        connection.execute(
            "INSERT INTO serving.rate_plan VALUES ('test', 1, 2, 'a test') ON CONFLICT (plan) DO UPDATE SET burst = 2"
        )
    limits.plans.refresh()
    assert limits.plans.of("test").burst == 2
    assert limits.plans.of("standard") is standard


def test_all_tokens_of_an_account_share_a_bucket_and_an_api_key_has_its_own(counted: RateLimits) -> None:
    here = address()
    first = counted.decide(b"Bearer app", None, here)
    second = counted.decide(b"Bearer app again", None, here)
    key = counted.decide(b"Bearer key", None, here)
    assert [each.plan.name for each in (first, second, key)] == ["service"] * 3
    assert (first.remaining, second.remaining, key.remaining) == (99, 98, 99)


def test_a_known_caller_is_not_held_up_by_others_at_the_same_address(counted: RateLimits) -> None:
    here = address()
    assert counted.decide(b"Bearer app", None, here).is_allowed
    anonymous = counted.plans.of(ANONYMOUS)
    for _ in range(3 * anonymous.burst):
        counted.decide(b"Bearer nonsense", None, here)
    assert not counted.decide(b"Bearer nonsense", None, here).is_allowed
    assert not counted.decide(None, None, here).is_allowed
    assert counted.decide(b"Bearer app", None, here).is_allowed
    assert counted.decide(None, None, address()).is_allowed, "another address"


def test_a_caller_whose_credential_must_be_verified_again_is_not_locked_out(
    counted: RateLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.limits.rate_limits.CALLER_S", -1.0)
    here = address()
    assert counted.decide(b"Bearer app", None, here).plan.name == "service"
    monkeypatch.setattr(counted, "_recognise", lambda _authorization, _cookie: None)
    while counted.decide(None, None, here).is_allowed:
        pass
    for _ in range(3):
        decision = counted.decide(b"Bearer app", None, here)
        assert (decision.is_allowed, decision.plan.name) == (True, "service")


def test_a_flood_of_invalid_credentials_is_not_verified(counted: RateLimits) -> None:
    verified: list[bytes | None] = []

    def recognise(authorization: bytes | None, cookie: bytes | None) -> Identity | None:
        verified.append(authorization)
        return None

    counted._recognise = recognise
    here = address()
    decisions = [counted.decide(b"Bearer %d" % number, None, here) for number in range(1_000)]
    refused = sum(not each.is_allowed for each in decisions)
    assert refused == 900
    assert len(verified) == 1_000 - refused


def test_an_ipv6_network_is_one_client(counted: RateLimits) -> None:
    network = f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}"
    one, other = counted.of_address(f"{network}::1"), counted.of_address(f"{network}:ffff::2")
    assert (one.remaining, other.remaining) == (99, 98)
    assert counted.of_address(address()).remaining == 99
