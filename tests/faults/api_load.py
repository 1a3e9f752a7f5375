"""Constant load on a running API: one thread for each kind of request, and every answer with its time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from lakehouse.settings import Settings
from tests.faults.outage_effects import (
    BY_FEATURES,
    BY_ID,
    CHECK_IN,
    HEALTH,
    LIST,
    LIVEZ,
    LOG_IN,
    METRICS,
    MODELS,
    PAGE,
    READYZ,
    Sample,
)
from tests.polling import until

CLIENT_S = 60.0
PAUSE_S = 0.15
LOGIN_PAUSE_S = 0.6
FEATURES = {
    "log_pace_ratio_7d": 0.1, "log_pace_ratio_14d": 0.1, "log_pace_ratio_28d": 0.1, "log_pace_ratio_cycle": 0.1,
    "log_pace_ratio_trend": 0.0, "log_required_pace": 1.2, "remaining_ratio": 0.5, "weeks_between_check_ins": 1.0,
    "confidence": 0.6, "progress_ratio": 0.4, "elapsed_ratio": 0.5, "check_ins": 6, "days_remaining": 45.0,
    "days_since_check_in": 2.0, "noise_ratio": 0.4, "peer_drift": 0.0, "reversion_ratio": 0.0, "season_ratio": 0.0,
}  # fmt: skip


@dataclass
class ApiLoad:
    """The clients of one API, and the answers so far. Each request has its own connection, so all workers get some."""

    url: str
    settings: Settings
    samples: list[Sample] = field(default_factory=list)
    token: str = ""
    session: dict[str, str] = field(default_factory=dict)
    key_result_id: str = ""

    def prepare(self) -> None:
        """Log in, on a page and for the API, and choose a key result with a forecast."""
        self._log_in()
        self.token = str(self._post("/auth/token", data=self._login("app")).json()["access_token"])
        listed = self._get("/v1/key-results?status=on_track&limit=1", headers=self._bearer()).json()
        self.key_result_id = listed["key_results"][0]["key_result_id"]

    def ask(self, kind: str) -> Sample:
        """Send one request of a kind, and keep the answer."""
        sent_at = time.monotonic()
        try:
            answer = self._requests()[kind]()
            status, said, retry_after = answer.status_code, _said(answer), answer.headers.get("retry-after")
        except httpx.HTTPError as error:
            status, said, retry_after = 0, type(error).__name__, None
        sample = Sample(kind, sent_at, time.monotonic() - sent_at, status, said, retry_after)
        self.samples.append(sample)
        if kind == PAGE and status == 401:  # Redis lost its sessions
            self._log_in()
        return sample

    @contextmanager
    def running(self, kinds: tuple[str, ...]) -> Iterator[None]:
        """Send requests of each kind in turn, in a thread per kind, while the block runs."""
        stop = threading.Event()

        def send(kind: str) -> None:
            while not stop.is_set():
                self.ask(kind)
                stop.wait(LOGIN_PAUSE_S if kind == LOG_IN else PAUSE_S)

        threads = [threading.Thread(target=send, args=(kind,), daemon=True) for kind in kinds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(CLIENT_S)

    def since(self, start: float, kind: str) -> list[Sample]:
        """Return the answers to requests of a kind that were sent after a time."""
        return [sample for sample in list(self.samples) if sample.kind == kind and sample.sent_at >= start]

    def wait_for(self, kind: str, accepts: Callable[[Sample], bool], start: float) -> None:
        """Wait until the newest answer of a kind, sent after a time, is as expected."""
        what = f"{kind} is answered as documented"
        try:
            until(lambda: any(accepts(one) for one in self.since(start, kind)[-1:]), what, seconds=60)
        except AssertionError as error:
            raise AssertionError(f"{error} The newest answers: {self.since(start, kind)[-3:]}") from error

    def _requests(self) -> dict[str, Callable[[], httpx.Response]]:
        check_in = {"key_result_id": self.key_result_id, "value": 1.0, "confidence": 0.5}
        ids = {"key_result_ids": [self.key_result_id]}
        return {
            BY_ID: lambda: self._post("/predict", json=ids, headers=self._bearer()),
            BY_FEATURES: lambda: self._post("/predict", json={"features": FEATURES}, headers=self._bearer()),
            LIST: lambda: self._get("/v1/key-results?limit=5", headers=self._bearer()),
            CHECK_IN: lambda: self._post("/v1/check-ins", json=check_in, headers=self._bearer()),
            LOG_IN: lambda: self._post("/auth/token", data=self._login("app")),
            PAGE: lambda: self._get("/", cookies=self.session),
            MODELS: lambda: self._get("/models", headers=self._bearer()),
            LIVEZ: lambda: self._get("/livez"),
            READYZ: lambda: self._get("/readyz"),
            HEALTH: lambda: self._get("/health"),
            METRICS: lambda: self._get("/metrics", headers=self._prometheus()),
        }

    def _log_in(self) -> None:
        answer = self._post("/login", data=self._login("lead"))
        if answer.status_code == 303:
            self.session = dict(answer.cookies)

    def _login(self, username: str) -> dict[str, str]:
        return {"username": username, "password": self.settings.require(f"{username}_password")}

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _prometheus(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.settings.require('metrics_token')}"}

    def _get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=CLIENT_S, **options)

    def _post(self, path: str, **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, timeout=CLIENT_S, **options)


def _said(answer: httpx.Response) -> str:
    if "json" not in answer.headers.get("content-type", ""):
        return ""
    body = answer.json()
    if isinstance(body, dict) and str(body.get("type", "")).startswith("urn:okr:problem:"):
        return str(body["type"]).rpartition(":")[2]
    if isinstance(body, dict) and body.get("is_acknowledged") is False:
        return "unacknowledged"
    return str(body.get("status", "")) if isinstance(body, dict) else ""
