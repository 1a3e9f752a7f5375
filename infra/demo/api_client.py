"""A client that uses the API as an application would: it logs in, reads models and forecasts, and posts check-ins."""

import time
from pathlib import Path
from typing import Any, Self

from infra.demo.endpoint import Endpoint
from lakehouse.client_tls import ClientTls
from lakehouse.http_client import http_client
from lakehouse.settings import Settings


class App:
    """A logged-in client for the API, used as a context manager."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._http = http_client(settings.require("api_url"), timeout_s=30, tls=ClientTls.of(settings))
        self._api = Endpoint(self._http, "The API", log)
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
            StepFailed: the API cannot be reached or responds with an error.
        """
        return self._api.json(method, path, **parts)

    def predict(self, key_result_ids: list[str]) -> list[dict[str, Any]]:
        """Return the forecasts for key results, in the order of the given ids."""
        found: list[dict[str, Any]] = self.call("POST", "/predict", json={"key_result_ids": key_result_ids})[
            "predictions"
        ]
        return found

    def wait_for_champion(self, limit_s: float) -> dict[str, Any]:
        """Return GET /models once a champion serves forecasts, or after `limit_s` seconds without one."""
        deadline = time.monotonic() + limit_s
        while True:
            models = self.call("GET", "/models")
            if models["active"]["role"] == "champion" or time.monotonic() > deadline:
                return models
            time.sleep(1)
