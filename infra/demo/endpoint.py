"""HTTP requests to the stack's services. The step fails if a response is missing, is an error or is not JSON."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from infra.demo.errors import StepFailed

RETRY_PAUSE_S = 1.0


@dataclass(frozen=True)
class Endpoint:
    """One service: its HTTP client, name in messages and log, and how long to retry if it does not respond."""

    client: httpx.Client
    name: str
    log: Path
    retry_limit_s: float = 60.0

    def send(self, method: str, path: str, *, may_repeat: bool | None = None, **parts: Any) -> httpx.Response:
        """Send a request and return the response, regardless of its status.

        A request that may be repeated (by default, only a GET) is repeated until the service responds.

        Raises:
            StepFailed: the service did not respond (within `retry_limit_s` seconds if the request may be repeated).
        """
        repeats = method == "GET" if may_repeat is None else may_repeat
        deadline = time.monotonic() + (self.retry_limit_s if repeats else 0)
        while True:
            try:
                return self.client.request(method, path, **parts)
            except httpx.HTTPError as error:
                if time.monotonic() >= deadline:
                    raise StepFailed(
                        f"{self.name} did not respond to {method} {path} ({type(error).__name__}: {error})",
                        log=self.log,
                        fix="`okr status` shows whether it is running; an overloaded machine may respond too late.",
                    ) from error  # fmt: skip
            time.sleep(RETRY_PAUSE_S)

    def json(self, method: str, path: str, *, may_repeat: bool | None = None, **parts: Any) -> dict[str, Any]:
        """Send a request and return the JSON object of the response.

        Raises:
            StepFailed: the service did not respond, or responded with an error or without a JSON object.
        """
        return self.read(self.send(method, path, may_repeat=may_repeat, **parts))

    def read(self, response: httpx.Response) -> dict[str, Any]:
        """Return the JSON object of a response.

        Raises:
            StepFailed: the response is an error or has no JSON object.
        """
        try:
            found = None if response.is_error else response.json()
        except ValueError:  # a proxy's error page, or a truncated response
            found = None
        if isinstance(found, dict):
            return found
        request = f"{response.request.method} {response.request.url.path}"
        raise StepFailed(
            f"{self.name} responded to {request} with {response.status_code}: {response.text[:400]}", log=self.log,
            fix="the response says what was expected; `okr status` shows whether the service is healthy.",
        )  # fmt: skip
