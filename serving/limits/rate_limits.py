"""Limit each caller: an account or API key by its plan, every other request by the address that it comes from."""

import ipaddress
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lakehouse.background import BackgroundThread
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from serving.auth.roles import Identity
from serving.limits.rate_limiter import Decision, RateLimiter
from serving.limits.rate_plan import ANONYMOUS, RatePlans
from serving.limits.token_bucket import LocalBuckets, SharedBuckets

# Return the identity of a credential (the headers Authorization and Cookie), or None. It must not block.
Recognise = Callable[[bytes | None, bytes | None], Identity | None]

CALLER_S = 60.0  # a caller is recognised again after this time
RECOGNISE_EVERY_S = 1.0  # while its credential has not been verified again
MOST_CALLERS = 10_000
PLANS_EVERY_S = 10.0
RECONNECT_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Caller:
    key: str
    plan: str
    until: float


class RateLimits:
    """The rate limits of all requests. `decide` runs on the event loop; a thread keeps plans and Redis up to date.

    A request whose credential this worker has verified before counts against its account. Any other request counts
    against its address, before its credential is verified, so a flood of invalid credentials costs little.
    """

    def __init__(
        self, plans: RatePlans, shared: SharedBuckets, recognise: Recognise, *, state: Path | None = None
    ) -> None:
        self.limiter = RateLimiter(shared, LocalBuckets())
        self.plans = plans
        self._shared = shared
        self._recognise = recognise
        self._callers: dict[bytes, _Caller] = {}
        self._stopping = threading.Event()
        self.thread = BackgroundThread("rate-limits", self._run, self._stopping, state=state)

    def start(self) -> None:
        """Start the thread that reads the plans and reconnects to Redis."""
        self.thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        self.thread.join(2)

    def of_identity(self, identity: Identity) -> Decision:
        """Spend a token of an account, or of the API key that it uses."""
        key, plan = _key_and_plan(identity)
        return self.limiter.take(key, self.plans.of(plan))

    def of_address(self, address: str) -> Decision:
        """Spend a token of a client address."""
        return self.limiter.take(_address_key(address), self.plans.of(ANONYMOUS))

    def decide(self, authorization: bytes | None, cookie: bytes | None, address: str) -> Decision:
        """Spend a token of the caller with these headers and this address."""
        credential = authorization or cookie
        if credential is None:
            return self.of_address(address)
        caller = self._callers.get(credential)
        if caller is None:
            decision = self.of_address(address)
            if not decision.is_allowed or (caller := self._remember(credential, authorization, cookie)) is None:
                return decision
        elif caller.until < time.monotonic():
            # Others at the same address must not lock out a caller whose credential has to be verified again.
            caller = self._remember(credential, authorization, cookie) or self._keep(credential, caller)
        return self.limiter.take(caller.key, self.plans.of(caller.plan))

    def decide_recognised(self, authorization: bytes) -> Decision | None:
        """Spend a token of a caller that `decide` has recognised within the last minute; return None for any other."""
        caller = self._callers.get(authorization)
        if caller is None or caller.until < time.monotonic():
            return None
        return self.limiter.take(caller.key, self.plans.of(caller.plan))

    def _remember(self, credential: bytes, authorization: bytes | None, cookie: bytes | None) -> _Caller | None:
        identity = self._recognise(authorization, cookie)
        if identity is None:
            return None
        if len(self._callers) >= MOST_CALLERS:
            self._callers.clear()
        key, plan = _key_and_plan(identity)
        caller = self._callers[credential] = _Caller(key, plan, time.monotonic() + CALLER_S)
        return caller

    def _keep(self, credential: bytes, caller: _Caller) -> _Caller:
        kept = self._callers[credential] = replace(caller, until=time.monotonic() + RECOGNISE_EVERY_S)
        return kept

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


def _key_and_plan(identity: Identity) -> tuple[str, str]:
    """Return the bucket and plan of an identity: an API key has its own bucket, all tokens of an account share one."""
    if identity.credential.startswith("key:"):
        return identity.credential, identity.plan
    return f"user:{identity.username}", identity.plan


def _address_key(address: str) -> str:
    """Return the key of an address. An IPv6 client can use a whole /64 network, which therefore is one key."""
    if ":" not in address:
        return f"address:{address}"
    try:
        return f"address:{ipaddress.ip_network((address, 64), strict=False).network_address}"
    except ValueError:
        return f"address:{address}"
