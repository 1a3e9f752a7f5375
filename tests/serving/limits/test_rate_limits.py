"""Accounts count against their plan, everybody else against their address; plans come from the warehouse."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from lakehouse.settings import Settings
from serving.auth.roles import Identity, Role
from serving.errors import RateLimited
from serving.limits.rate_limit_enforcement import CHARGE, charge
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
    first, second, key = (
        counted.admit(each, None, here).decision for each in (b"Bearer app", b"Bearer app again", b"Bearer key")
    )
    assert [each.plan.name for each in (first, second, key)] == ["service"] * 3
    assert (first.remaining, second.remaining, key.remaining) == (99, 98, 99)


def test_a_known_caller_is_not_held_up_by_others_at_the_same_address(counted: RateLimits) -> None:
    here = address()
    for _ in range(3 * counted.plans.of(ANONYMOUS).burst):
        counted.admit(b"Bearer nonsense", None, here)
    assert not counted.admit(b"Bearer nonsense", None, here).decision.is_allowed
    assert not counted.admit(None, None, here).decision.is_allowed
    assert counted.admit(b"Bearer app", None, here).decision.is_allowed
    assert counted.admit(None, None, address()).decision.is_allowed, "another address"


def test_an_account_pays_for_what_was_charged_to_an_address(counted: RateLimits) -> None:
    """Otherwise, credentials that are new to every worker and address would escape the account's plan."""
    caller = identity(uuid.uuid4().hex, "token:new")
    for number in range(100):
        decision = counted.admit(b"Bearer %d" % number, None, address()).of(caller)
        assert (decision.is_allowed, decision.plan.name, decision.remaining) == (True, "service", 99 - number)
    assert not counted.admit(b"Bearer 100", None, address()).of(caller).is_allowed


def test_a_request_is_paid_once_however_often_it_is_charged(counted: RateLimits) -> None:
    one = counted.admit(b"Bearer app", None, address())
    caller = counted._recognise(b"Bearer app", None)
    assert caller is not None
    left = [one.of(caller, items).remaining for items in (1, 10, 11, 11, 1_000, 1_000)]
    assert left == [99, 99, 98, 98, 0, 0]


def test_a_probe_has_no_charge(counted: RateLimits) -> None:
    caller = identity(uuid.uuid4().hex, "token:1")
    charge({}, caller, 1_000)
    assert counted.of_identity(caller).remaining == 99, "the limiter was not called"


def test_a_refused_account_is_told_its_plan_and_when_to_try_again(counted: RateLimits) -> None:
    caller, scope = identity(uuid.uuid4().hex, "token:1"), {CHARGE: counted.admit(None, None, address())}
    charge(scope, caller, 1_000)
    with pytest.raises(RateLimited, match="'service'") as refused:
        charge({CHARGE: counted.admit(None, None, address())}, caller)
    assert (refused.value.plan, refused.value.retry_after_s) == ("service", 100)


def test_an_ipv6_network_is_one_client(counted: RateLimits) -> None:
    network = f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}"
    ends = (f"{network}::1", f"{network}:ffff::2", address())
    assert [counted.admit(None, None, each).decision.remaining for each in ends] == [99, 98, 99]


def test_an_ipv4_address_is_the_same_client_in_ipv6_form(counted: RateLimits) -> None:
    first, second = (f"192.0.{number}.{uuid.uuid4().int % 256}" for number in (2, 3))
    forms = (f"::ffff:{first}", first, f"::ffff:{second}")
    assert [counted.admit(None, None, each).decision.remaining for each in forms] == [99, 98, 99]


def test_a_charge_names_the_address_that_pays_and_no_account(counted: RateLimits) -> None:
    stranger, known = counted.admit(None, None, "192.0.2.1"), counted.admit(b"Bearer app", None, "192.0.2.1")
    assert (stranger.address, known.address) == ("address:192.0.2.1", None)
