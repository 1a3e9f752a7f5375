"""The logic that the synchronous and the asynchronous client share, written once as generators.

A generator yields what has to be done (`Send`, `Sleep`) and receives the result. The transports carry it out.
"""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx

from okr_client.calls import Call
from okr_client.errors import ConnectionFailed, error_of
from okr_client.retries import Retries

T = TypeVar("T")


@dataclass(frozen=True)
class Send:
    """Send the request of a call. The result is its response. The content is written to `to`, or read into memory."""

    call: Call[Any]
    to: Path | None = None


@dataclass(frozen=True)
class Sleep:
    """Wait."""

    seconds: float


Step = Send | Sleep
Steps = Generator[Step, Any, T]


def exchange(call: Call[Any], retries: Retries, to: Path | None = None) -> Steps[httpx.Response]:
    """Send a request, repeat it if that is safe and useful, and return its response.

    Raises:
        ApiError: the API responded with an error.
        ConnectionFailed: there was no response.
    """
    for attempt in count(1):
        try:
            response: httpx.Response = yield Send(call, to)
        except httpx.TransportError as error:
            wait_s = retries.after_failure(error, attempt, is_repeatable=call.is_repeatable)
            if wait_s is None:
                what = f"{call.method} {call.path}: {type(error).__name__}: {error}"
                raise ConnectionFailed(f"{what} ({attempt} attempts)") from error
        else:
            if response.is_success:
                return response
            wait_s = retries.after_response(response, attempt, is_repeatable=call.is_repeatable)
            if wait_s is None:
                raise error_of(response)
        yield Sleep(wait_s)
    raise AssertionError("The loop above has no end.")


def result(call: Call[T], retries: Retries) -> Steps[T]:
    """Return the content of a call's response."""
    return call.result((yield from exchange(call, retries)))
