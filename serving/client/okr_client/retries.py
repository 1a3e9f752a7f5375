"""Decide whether a failed request is repeated, and when."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import msgspec

RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
# The API sends these before it starts to process a request, so that even an unsafe one can be sent again.
NOT_PROCESSED = frozenset({"urn:okr:problem:rate-limit", "urn:okr:problem:overloaded"})
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Retries:
    """When requests are repeated.

    Requests that can be repeated safely (GET, and writes, which have an `Idempotency-Key`) are repeated after failed
    connections and the statuses 429, 502, 503 and 504. Other requests are repeated only if they were not processed.
    """

    attempts: int = 4
    """The largest number of attempts; 1 disables retries."""
    first_wait_s: float = 0.25
    """The longest wait after the first attempt. It doubles with each attempt, and a random part of it is waited."""
    longest_wait_s: float = 30.0
    """The longest wait. If the API asks for a longer one (`Retry-After`), the error is raised immediately."""

    def after_failure(self, error: httpx.TransportError, attempt: int, *, is_repeatable: bool) -> float | None:
        """Return how long to wait before the next attempt after no response arrived, or None to give up."""
        if attempt >= self.attempts or not (is_repeatable or isinstance(error, NOT_SENT)):
            return None
        return self._random_wait(attempt)

    def after_response(self, response: httpx.Response, attempt: int, *, is_repeatable: bool) -> float | None:
        """Return how long to wait before the next attempt after an error response, or None to give up."""
        if attempt >= self.attempts or response.status_code not in RETRYABLE_STATUSES:
            return None
        if not is_repeatable and _problem_type(response) not in NOT_PROCESSED:
            return None
        asked = _retry_after_s(response.headers.get("retry-after", ""))
        if asked is None:
            return self._random_wait(attempt)
        if asked > self.longest_wait_s:
            return None
        return asked + self._random_wait(attempt)  # so that clients with the same Retry-After do not return together

    def _random_wait(self, attempt: int) -> float:
        longest: float = min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1))
        return random.uniform(0, longest)  # noqa: S311 -- not for cryptography


def _problem_type(response: httpx.Response) -> str:
    try:
        return msgspec.json.decode(response.content, type=_Typed).type
    except (msgspec.DecodeError, msgspec.ValidationError):
        return ""


class _Typed(msgspec.Struct):
    type: str = ""


def _retry_after_s(text: str) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, section 10.2.3), or None if it is missing or invalid."""
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
