"""What an app does with the API: log in, look at models, ask for forecasts, post a check-in."""

import time
from pathlib import Path
from typing import Any, Self

import httpx

from infra.demo.errors import StepFailed
from lakehouse.http_client import http_client
from lakehouse.settings import Settings


class App:
    """A logged-in client of the API; use it as a context manager."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._log = log
        self._http = http_client(settings.require("api_url"), timeout_s=30)
        form = {"username": "app", "password": settings.require("app_password")}
        token = self.call("POST", "/auth/token", data=form)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, **parts: Any) -> dict[str, Any]:
        """Send one request and return its JSON.

        Raises:
            StepFailed: the API cannot be reached or answers with an error.
        """
        try:
            response = self._http.request(method, path, **parts)
        except httpx.HTTPError as error:
            raise StepFailed(
                f"{method} {path} got no answer: {error}",
                log=self._log,
                mend="`okr status` shows whether the API runs.",
            ) from error
        if response.is_error:
            raise StepFailed(
                f"{method} {path} was answered with {response.status_code}: {response.text[:400]}", log=self._log,
                mend="the answer says what was expected; the API's documentation is at /docs.",
            )  # fmt: skip
        answer: dict[str, Any] = response.json()
        return answer

    def predict(self, key_result_ids: list[str]) -> list[dict[str, Any]]:
        """Ask for the forecasts of some key results, in their order."""
        found: list[dict[str, Any]] = self.call("POST", "/predict", json={"key_result_ids": key_result_ids})[
            "predictions"
        ]
        return found

    def wait_for_champion(self, limit_s: float) -> dict[str, Any]:
        """Return GET /models once a champion is loaded, or after `limit_s` seconds as it is then (the rule answers)."""
        deadline = time.monotonic() + limit_s
        while True:
            models = self.call("GET", "/models")
            if models["answering"]["role"] == "champion" or time.monotonic() > deadline:
                return models
            time.sleep(1)
