"""Rate plans: how many requests a second an account may send. They are stored in `serving.rate_plan`."""

import math
from functools import cached_property

import msgspec

from serving.publication_reader import Reader, Warehouse

PACKAGE = "serving.limits"
STANDARD = "standard"
ANONYMOUS = "anonymous"  # the plan of a client address, for requests whose credential is missing or unverified


class RatePlan(msgspec.Struct, frozen=True, dict=True):
    """A plan: a token bucket of `burst` requests that is refilled at a constant rate."""

    name: str
    requests_per_second: float
    burst: int

    @property
    def window_s(self) -> int:
        """The time in which an empty bucket is refilled, in whole seconds."""
        return max(1, math.ceil(self.burst / self.requests_per_second))

    @cached_property
    def policy_field(self) -> bytes:
        """The value of the header RateLimit-Policy."""
        return f'"{self.name}";q={self.burst};w={self.window_s}'.encode()


# The plans that revision 0041 creates. They apply until the table has been read once.
SEEDED = (
    RatePlan(STANDARD, 200.0, 400),
    RatePlan(ANONYMOUS, 100.0, 400),
    RatePlan("service", 2_000.0, 4_000),
    RatePlan("internal", 50_000.0, 50_000),
)


class RatePlans:
    """The plans by name, as last read from the warehouse."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._by_name = {plan.name: plan for plan in SEEDED}

    def of(self, name: str) -> RatePlan:
        """Return the plan of this name, or the standard plan if there is none."""
        plans = self._by_name
        return plans.get(name) or plans[STANDARD]

    def refresh(self) -> None:
        """Read all plans. An unchanged plan stays the same object, so that leases of its tokens stay valid.

        Raises:
            RetryableError: the warehouse is unavailable; the plans stay as they are.
        """
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "rate_plans")
        before = self._by_name
        read = {plan.name: plan for row in rows if (plan := RatePlan(**row))}
        kept = {name: before[name] if before.get(name) == plan else plan for name, plan in read.items()}
        self._by_name = {plan.name: plan for plan in SEEDED if plan.name not in kept} | kept
