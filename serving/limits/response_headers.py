"""The header fields of rate limits: RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10)."""

import math

from serving.limits.token_leases import Decision

Field = tuple[bytes, bytes]


def rate_limit_fields(decision: Decision) -> list[Field]:
    """Return the fields for a response: the plan (`q` requests in `w` seconds), and what is left (`r`) until `t`."""
    plan, remaining = decision.plan, decision.remaining
    reset_s = decision.wait_s or (plan.burst - remaining) / plan.requests_per_second
    return [
        (b"ratelimit-policy", plan.policy_field),
        (b"ratelimit", b'"%s";r=%d;t=%d' % (plan.name.encode(), remaining, math.ceil(reset_s))),
    ]


def retry_after_s(decision: Decision) -> int:
    """Return the value of the header Retry-After for a refused request: whole seconds, at least one."""
    return max(1, math.ceil(decision.wait_s))
