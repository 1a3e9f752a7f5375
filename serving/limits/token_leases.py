"""Decide whether a request is within its rate plan, usually without asking Redis. rate_limit_enforcement.py rejects it.

A worker leases tokens in batches and spends them itself. A lease starts at one token and doubles each time that it is
used up before it ends. A busy client therefore costs at most one call to Redis per LARGEST_LEASE_S, and an occasional
client wastes no tokens.

Tokens may be spent up to LEASE_S after they were taken, so within any period a client can exceed its plan by at
most one lease of the maximum size per worker.
"""

import threading
import time
from collections.abc import Callable

import msgspec

from serving.limits.rate_plan import RatePlan
from serving.limits.token_bucket import Grant, LocalBuckets, SharedBuckets

LEASE_S = 1.0  # leased tokens that are older are worthless
LARGEST_LEASE_S = 0.1  # a lease has at most the tokens of this time, and at most a tenth of the bucket
MOST_LEASES = 20_000


class Decision(msgspec.Struct, frozen=True, gc=False):
    """Whether a request is allowed. `remaining` estimates the tokens that are left, and `wait_s` is 0 if allowed."""

    is_allowed: bool
    plan: RatePlan
    remaining: int
    wait_s: float


class _Lease:
    """The tokens of one key that this worker may still spend until `ends_at`."""

    __slots__ = ("ends_at", "left", "plan", "refused_tokens", "refused_until", "shared", "size")

    def __init__(self, plan: RatePlan) -> None:
        self.plan = plan
        self.left = 0
        self.shared = 0  # left in the bucket when the lease was taken
        self.size = 0
        self.ends_at = 0.0
        self.refused_until = 0.0  # requests that need at least `refused_tokens`
        self.refused_tokens = 1


class RateLimiter:
    """Spends leased tokens. Thread-safe."""

    def __init__(self, shared: SharedBuckets, local: LocalBuckets, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._local = local
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        self._taking = threading.Lock()

    def take(self, key: str, plan: RatePlan, tokens: int = 1) -> Decision:
        """Spend tokens of a key, for example `user:app` or `key:1a2b`: all of them or, if there are too few, none.

        A request that costs more than the bucket's size costs the whole bucket.
        """
        tokens = min(tokens, plan.burst)
        with self._taking:
            now = self._clock()
            lease = self._leases.get(key)
            if lease is None or lease.plan is not plan:
                if len(self._leases) >= MOST_LEASES:
                    self._drop(now)
                lease = self._leases[key] = _Lease(plan)
            elif now < lease.ends_at and lease.left >= tokens:
                lease.left = left = lease.left - tokens
                return Decision(True, plan, left + lease.shared, 0.0)
            elif now < lease.refused_until and tokens >= lease.refused_tokens:
                return Decision(False, plan, 0, lease.refused_until - now)
            return self._renew(key, lease, now, tokens)

    def give_back(self, key: str, plan: RatePlan, tokens: int) -> None:
        """Undo a `take` of these tokens that was allowed. Like all leased tokens, they are worthless after LEASE_S."""
        with self._taking:
            lease = self._leases.get(key)
            if lease is not None and lease.plan is plan:
                lease.left += min(tokens, plan.burst)

    def _renew(self, key: str, lease: _Lease, now: float, tokens: int) -> Decision:
        plan = lease.plan
        is_current = now < lease.ends_at
        left = lease.left if is_current else 0
        was_used_up = lease.size > 0 and left == 0 and is_current
        wanted = min(lease.size * 2, _largest_lease(plan)) if was_used_up else 1
        needed = tokens - left
        grant = self._grant(key, plan, max(wanted, needed), needed)
        if grant.tokens == 0:
            if tokens == 1:
                lease.size = lease.left = 0
            lease.refused_until, lease.refused_tokens = now + grant.wait_s, tokens
            return Decision(False, plan, left + grant.left, grant.wait_s)
        lease.size, lease.left, lease.shared = grant.tokens, left + grant.tokens - tokens, grant.left
        lease.ends_at = now + LEASE_S
        return Decision(True, plan, lease.left + lease.shared, 0.0)

    def _grant(self, key: str, plan: RatePlan, wanted: int, needed: int) -> Grant:
        return self._shared.take(key, plan, wanted, needed) or self._local.take(key, plan, wanted, needed)

    def _drop(self, now: float) -> None:
        """Drop the leases that have ended. If too few have, drop the oldest ones too: their tokens are lost."""
        self._leases = {
            key: lease for key, lease in self._leases.items() if now < max(lease.ends_at, lease.refused_until)
        }
        for key in list(self._leases)[: max(0, len(self._leases) - MOST_LEASES // 2)]:
            del self._leases[key]


def _largest_lease(plan: RatePlan) -> int:
    return max(1, int(min(plan.requests_per_second * LARGEST_LEASE_S, plan.burst / 10)))
