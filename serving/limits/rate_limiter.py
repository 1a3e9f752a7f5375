"""Decide whether a request is within its rate plan, usually without asking Redis.

A worker leases tokens in batches and spends them itself. A lease starts at one token and doubles each time that it is
used up before it ends. A busy client therefore costs at most one call to Redis per LARGEST_LEASE_S, and an occasional
client wastes no tokens.

Tokens may be spent up to LEASE_S after they were taken, so within any period a client can exceed its plan by at
most one lease of the maximum size per worker.
"""

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

    __slots__ = ("ends_at", "left", "plan", "refused_until", "shared", "size")

    def __init__(self, plan: RatePlan) -> None:
        self.plan = plan
        self.left = 0
        self.shared = 0  # left in the bucket when the lease was taken
        self.size = 0
        self.ends_at = 0.0
        self.refused_until = 0.0


class RateLimiter:
    """Spends leased tokens. It is synchronous and not thread-safe: call it on the event loop's thread only."""

    def __init__(self, shared: SharedBuckets, local: LocalBuckets, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._local = local
        self._clock = clock
        self._leases: dict[str, _Lease] = {}

    def take(self, key: str, plan: RatePlan) -> Decision:
        """Spend one token of a key, for example `user:app` or `key:okr_1a2b`."""
        now = self._clock()
        lease = self._leases.get(key)
        if lease is not None and lease.plan is plan:
            if lease.left and now < lease.ends_at:
                lease.left = left = lease.left - 1
                return Decision(True, plan, left + lease.shared, 0.0)
            if now < lease.refused_until:
                return Decision(False, plan, 0, lease.refused_until - now)
        return self._renew(key, plan, lease, now)

    def _renew(self, key: str, plan: RatePlan, lease: _Lease | None, now: float) -> Decision:
        if lease is None or lease.plan is not plan:
            if len(self._leases) >= MOST_LEASES:
                self._drop(now)
            lease = self._leases[key] = _Lease(plan)
        was_used_up = lease.size > 0 and lease.left == 0 and now < lease.ends_at
        wanted = min(lease.size * 2, _largest_lease(plan)) if was_used_up else 1
        grant = self._grant(key, plan, wanted)
        if grant.tokens == 0:
            lease.size = lease.left = 0
            lease.refused_until = now + grant.wait_s
            return Decision(False, plan, 0, grant.wait_s)
        lease.size, lease.left, lease.shared = grant.tokens, grant.tokens - 1, grant.left
        lease.ends_at = now + LEASE_S
        return Decision(True, plan, lease.left + lease.shared, 0.0)

    def _grant(self, key: str, plan: RatePlan, wanted: int) -> Grant:
        return self._shared.take(key, plan, wanted) or self._local.take(key, plan, wanted)

    def _drop(self, now: float) -> None:
        """Drop the leases that have ended. If too few have, drop the oldest ones too: their tokens are lost."""
        self._leases = {
            key: lease for key, lease in self._leases.items() if now < max(lease.ends_at, lease.refused_until)
        }
        for key in list(self._leases)[: len(self._leases) - MOST_LEASES // 2]:
            del self._leases[key]


def _largest_lease(plan: RatePlan) -> int:
    return max(1, int(min(plan.requests_per_second * LARGEST_LEASE_S, plan.burst / 10)))
