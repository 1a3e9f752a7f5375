"""Limit each caller: an account or API key by its plan, every other request by the address that it comes from."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from lakehouse.background import BackgroundThread
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from serving.auth.client_address import network_of
from serving.auth.roles import Identity
from serving.limits.rate_limit_enforcement import ADDRESS, Charge, cost_of, key_and_plan
from serving.limits.rate_plan import ANONYMOUS, RatePlans
from serving.limits.token_bucket import LocalBuckets, SharedBuckets
from serving.limits.token_leases import Decision, RateLimiter

# Return the identity of a credential (the headers Authorization and Cookie), or None. It must not block.
Recognise = Callable[[bytes | None, bytes | None], Identity | None]

PLANS_EVERY_S = 10.0
RECONNECT_EVERY_S = 1.0


class RateLimits:
    """The rate limits of all requests. `admit` runs on the event loop; a thread keeps plans and Redis up to date.

    A request whose credential this worker has verified before counts against its account. Any other request counts
    against its address before its credential is verified, so a flood of invalid credentials costs little. Once the
    credential is verified, the request counts against the account as well (`charge`).
    """

    def __init__(
        self, plans: RatePlans, shared: SharedBuckets, recognise: Recognise, *, state: Path | None = None
    ) -> None:
        """`recognise` knows credentials that this worker has verified before and that were not revoked since."""
        self.limiter = RateLimiter(shared, LocalBuckets())
        self.plans = plans
        self._shared = shared
        self._recognise = recognise
        self._stopping = threading.Event()
        self.thread = BackgroundThread("rate-limits", self._run, self._stopping, state=state)

    def start(self) -> None:
        """Start the thread that reads the plans and reconnects to Redis."""
        self.thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        self.thread.join(2)

    def admit(self, authorization: bytes | None, cookie: bytes | None, address: str) -> Charge:
        """Spend a token of the caller with these headers and this address."""
        identity = self._recognise(authorization, cookie) if authorization or cookie else None
        if identity is None:
            return Charge(self.limiter, self.plans, f"{ADDRESS}{network_of(address)}", ANONYMOUS)
        return Charge(self.limiter, self.plans, *key_and_plan(identity))

    def of_identity(self, identity: Identity, items: int = 1) -> Decision:
        """Charge an account for a request about some items that does not pass the guard."""
        key, plan = key_and_plan(identity)
        return self.limiter.take(key, self.plans.of(plan), cost_of(items))

    def give_back(self, identity: Identity, items: int) -> None:
        """Undo `of_identity`, because the guard will charge the account for this request."""
        key, plan = key_and_plan(identity)
        self.limiter.give_back(key, self.plans.of(plan), cost_of(items))

    def _run(self) -> None:
        plans_due = 0.0
        while not self._stopping.is_set():
            if not self._shared.is_available:
                self._shared.reconnect()
            if time.monotonic() >= plans_due:
                self._refresh_plans()
                plans_due = time.monotonic() + PLANS_EVERY_S
            self.thread.report_success()
            self._stopping.wait(RECONNECT_EVERY_S)

    def _refresh_plans(self) -> None:
        try:
            self.plans.refresh()
        except OkrError as error:
            get_logger(__name__).warning("the rate plans stay as they are", error=str(error))
