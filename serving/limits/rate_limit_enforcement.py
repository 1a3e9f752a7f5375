"""Enforce rate limits: what a request costs, and whom it is charged to. A request that exceeds its plan gets a 429.

`RequestGuard` charges each request before its credential is verified: to the account of the credential if this worker
has verified the credential before, or to the client address. It puts the `Charge` into the request's scope. Once the
credential is verified, `charge` charges the account as well, however many credentials and addresses the caller uses.
"""

from collections.abc import MutableMapping
from typing import Any

from serving.auth.roles import Identity
from serving.errors import RateLimited
from serving.limits.rate_plan import RatePlans
from serving.limits.response_headers import retry_after_s
from serving.limits.token_leases import Decision, RateLimiter
from serving.observability import metrics

CHARGE = "okr.charge"  # the key of the Charge in the scope
ADDRESS = "address:"  # the start of the key of an address
ITEMS_PER_TOKEN = 10  # key results or rows to predict, events to write


class Charge:
    """The tokens that a request has spent. `decision` is the newest one."""

    __slots__ = ("_key", "_limiter", "_plans", "_spent", "decision")

    def __init__(self, limiter: RateLimiter, plans: RatePlans, key: str, plan: str) -> None:
        """Spend a token of a key, with a plan."""
        self._limiter = limiter
        self._plans = plans
        self._key = key
        self._spent = 1
        self.decision: Decision = limiter.take(key, plans.of(plan))

    @property
    def address(self) -> str | None:
        """The key of the address that is charged, or None if an account is charged."""
        return self._key if self._key.startswith(ADDRESS) else None

    def of(self, identity: Identity, items: int = 1) -> Decision:
        """Charge an account for a request about some items, less the tokens that the request has already spent."""
        key, plan = key_and_plan(identity)
        spent = self._spent if key == self._key else 0
        cost = cost_of(items)
        if cost > spent:
            self.decision = self._limiter.take(key, self._plans.of(plan), cost - spent)
            if self.decision.is_allowed:
                self._key, self._spent = key, cost
        return self.decision


def charge(scope: MutableMapping[str, Any], identity: Identity, items: int = 1) -> None:
    """Charge the account of a request. A probe, which has no `Charge`, costs nothing.

    Raises:
        RateLimited: the account's plan does not allow the request now.
    """
    found: Charge | None = scope.get(CHARGE)
    if found is None:
        return
    found.of(identity, items)
    if refused := refusal_of(found):
        metrics.REFUSALS.labels("rate-limit").inc()
        raise refused


def refusal_of(charge: Charge) -> RateLimited | None:
    """Return the error of a request whose charge was not allowed, or None if it was."""
    decision = charge.decision
    if decision.is_allowed:
        return None
    plan, wait_s = decision.plan, retry_after_s(decision)
    return RateLimited(
        f"The plan {plan.name!r} allows {plan.requests_per_second:g} requests a second and bursts of {plan.burst}; "
        f"every {ITEMS_PER_TOKEN} key results, rows or events count as one request. Try again in {wait_s} s; the "
        "header RateLimit shows what is left.",
        plan.name,
        wait_s,
    )


def cost_of(items: int) -> int:
    """Return the tokens that a request about some items costs."""
    return 1 if items <= ITEMS_PER_TOKEN else -(-items // ITEMS_PER_TOKEN)


def key_and_plan(identity: Identity) -> tuple[str, str]:
    """Return the bucket and plan of an identity: an API key has its own bucket, all tokens of an account share one."""
    if identity.credential.startswith("key:"):
        return identity.credential, identity.plan
    return f"user:{identity.username}", identity.plan
