"""Watch a release after the switch: the share of failed requests, and how long requests take."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from infra.deploy.api_client import ColourClient, Requests
from infra.deploy.host import Limits
from lakehouse.errors import RetryableError

PROBE_EVERY_S = 0.25
LOOK_EVERY_S = 1.0
PERCENTILE = 0.95
FAILED_IN_A_ROW = 5


class Breach(RetryableError):
    """The new release exceeded a limit."""


@dataclass(frozen=True)
class Watched:
    """What was seen since the switch. `p95_ms` is the upper bound of the histogram's bucket; 0 without requests."""

    requests: float
    """Requests of callers, without probes."""
    error_share: float
    """Share of failed requests, probes included."""
    p95_ms: float


def watch(colour: ColourClient, through_proxy: ColourClient, limits: Limits, metrics_token: str) -> Watched:
    """Watch for `limits.watch_s` seconds, and return what was seen.

    Requests of callers are counted by the colour itself (`/metrics`). In addition, the link that nginx uses is probed
    several times a second, so that a process that no longer answers is noticed without any callers.

    Raises:
        Breach: a limit was exceeded.
    """
    start = colour.requests(metrics_token)
    probes, failed_probes, in_a_row, began, looked = 0, 0, 0, time.monotonic(), 0.0
    while True:
        probes += 1
        in_a_row = 0 if through_proxy.is_ready() else in_a_row + 1
        failed_probes += in_a_row > 0
        if in_a_row == FAILED_IN_A_ROW:  # a probe that hangs takes seconds, so there may be few of them
            raise Breach(f"The new release failed {in_a_row} probes (/readyz) in a row.")
        elapsed_s = time.monotonic() - began
        is_over = elapsed_s >= limits.watch_s
        if is_over or elapsed_s - looked >= LOOK_EVERY_S:
            looked = elapsed_s
            seen = _since(start, _requests(colour, metrics_token), probes, failed_probes)
            _check(seen, probes, limits)
            if is_over:
                return seen
        time.sleep(PROBE_EVERY_S)


def _requests(colour: ColourClient, metrics_token: str) -> Requests:
    try:
        return colour.requests(metrics_token)
    except RetryableError as error:
        raise Breach(f"The new release does not answer: {error}") from error


def _since(start: Requests, now: Requests, probes: int, failed_probes: int) -> Watched:
    if now.total < start.total:  # it was restarted, and its counters with it
        raise Breach("The new release was restarted after the switch. Its log says why.")
    answered = now.total - start.total
    failed = now.failed - start.failed + failed_probes
    within_s = {bound: now.within_s[bound] - start.within_s.get(bound, 0.0) for bound in now.within_s}
    return Watched(answered, failed / (answered + probes), _percentile_ms(within_s, answered))


def _percentile_ms(within_s: Mapping[float, float], total: float) -> float:
    for bound in sorted(within_s):
        if total and within_s[bound] >= PERCENTILE * total:
            return bound * 1000
    return 0.0


def _check(seen: Watched, probes: int, limits: Limits) -> None:
    if seen.requests + probes >= limits.min_requests and seen.error_share > limits.max_error_share:
        raise Breach(
            f"{seen.error_share:.1%} of {seen.requests + probes:.0f} requests and probes failed since the switch; the "
            f"limit is {limits.max_error_share:.1%}."
        )
    if seen.requests >= limits.min_requests and seen.p95_ms > limits.max_p95_ms:
        raise Breach(
            f"5 % of the requests since the switch took up to {seen.p95_ms:.0f} ms or longer; the limit is "
            f"{limits.max_p95_ms:.0f} ms."
        )
