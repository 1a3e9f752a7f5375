"""Requests to the stack's services: no answer, an answer that is an error and one that is no JSON are a failed step."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from infra.demo.errors import StepFailed

PAUSE_S = 1.0


@dataclass(frozen=True)
class Endpoint:
    """One service: its client, its name in messages, where its log is, and how long a busy one may be silent."""

    client: httpx.Client
    name: str
    log: Path
    patience_s: float = 60.0

    def ask(self, method: str, path: str, *, may_repeat: bool | None = None, **parts: Any) -> httpx.Response:
        """Send a request and return its answer, whatever its status.

        A request that may be sent twice (a GET, or what `may_repeat` says) is repeated while nothing is answered.

        Raises:
            StepFailed: there is no answer, after `patience_s` seconds where it may be repeated.
        """
        repeats = method == "GET" if may_repeat is None else may_repeat
        deadline = time.monotonic() + (self.patience_s if repeats else 0)
        while True:
            try:
                return self.client.request(method, path, **parts)
            except httpx.HTTPError as error:
                if time.monotonic() >= deadline:
                    raise StepFailed(
                        f"{self.name} did not answer {method} {path} ({type(error).__name__}: {error})", log=self.log,
                        fix="`okr status` shows whether it runs; a machine that is too busy answers too late.",
                    ) from error  # fmt: skip
            time.sleep(PAUSE_S)

    def json(self, method: str, path: str, *, may_repeat: bool | None = None, **parts: Any) -> dict[str, Any]:
        """Send a request and return the JSON object that it is answered with.

        Raises:
            StepFailed: there is no answer, or it is an error or no JSON object.
        """
        return self.read(self.ask(method, path, may_repeat=may_repeat, **parts))

    def read(self, response: httpx.Response) -> dict[str, Any]:
        """Return the JSON object of an answer.

        Raises:
            StepFailed: it is an error or no JSON object.
        """
        try:
            found = None if response.is_error else response.json()
        except ValueError:  # a page in front of the service, or half an answer
            found = None
        if isinstance(found, dict):
            return found
        asked = f"{response.request.method} {response.request.url.path}"
        raise StepFailed(
            f"{self.name} answered {asked} with {response.status_code}: {response.text[:400]}", log=self.log,
            fix="the answer says what was expected; `okr status` shows whether it is well.",
        )  # fmt: skip
