"""Notify Airflow of landed events by an asset event. This happens in a separate thread, so landing never waits.

Asset events are coalesced. At most one is sent every few seconds, and none is sent while a run of the DAG is queued,
because that run will read everything that lands before it starts. Unless such a run is queued, an asset event is always
sent after the last batch has landed.
"""

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lakehouse.background import BackgroundThread
from lakehouse.client_tls import ClientTls
from lakehouse.errors import RetryableError
from lakehouse.http_client import http_client
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.tls_problems import tls_problem

if TYPE_CHECKING:
    import httpx

log = get_logger(__name__)

ASSET = "okr_user_events_landed"
DAG = "okr_etl_dag"
PAUSE_SECONDS = 3.0
RETRY_SECONDS = 5.0
CLOSE_SECONDS = 10.0


class AirflowAssets:
    """The part of Airflow's REST API that announcements need."""

    def __init__(self, url: str, user: str, password: str, tls: ClientTls | None = None) -> None:
        self._url, self._user, self._password, self._tls = url.rstrip("/"), user, password, tls
        self._client: httpx.Client | None = None
        self._asset_id: int | None = None

    def announce(self) -> bool:
        """Post an asset event, or return False if a queued run makes it unnecessary.

        Raises:
            RetryableError: Airflow is unavailable, rejects the login or does not know the asset (yet), or the response
                does not come from Airflow's API.
        """
        import httpx

        try:
            client = self._client = self._client or self._login()
            queued = client.get(f"/api/v2/dags/{DAG}/dagRuns", params={"state": "queued", "limit": 1})
            if queued.raise_for_status().json()["dag_runs"]:
                return False
            self._asset_id = self._asset_id or self._find_asset(client)
            client.post("/api/v2/assets/events", json={"asset_id": self._asset_id}).raise_for_status()
        except httpx.InvalidURL as error:  # not a subclass of httpx.HTTPError
            self._reset()
            raise RetryableError(
                f"OKR_AIRFLOW_URL ({self._url}) is not a valid URL, so nothing is announced: {error}"
            ) from error
        except httpx.HTTPError as error:
            self._reset()
            reason = tls_problem(error, self._url) or error
            raise RetryableError(f"Airflow at {self._url} did not accept the announcement: {reason}") from error
        except (ValueError, LookupError, TypeError) as error:  # not JSON, or without the documented fields
            self._reset()
            raise RetryableError(
                f"The server at {self._url} does not answer like Airflow's API ({type(error).__name__}: {error}). "
                "Is OKR_AIRFLOW_URL the URL of Airflow, and has it started?"
            ) from error
        return True

    def _login(self) -> "httpx.Client":
        client = http_client(self._url, timeout_s=10.0, tls=self._tls)
        try:
            response = client.post("/auth/token", json={"username": self._user, "password": self._password})
            client.headers["Authorization"] = f"Bearer {response.raise_for_status().json()['access_token']}"
        except BaseException:
            client.close()
            raise
        return client

    def _find_asset(self, client: "httpx.Client") -> int:
        response = client.get("/api/v2/assets", params={"name_pattern": ASSET})
        for asset in response.raise_for_status().json()["assets"]:
            if asset["name"] == ASSET:
                return int(asset["id"])
        raise RetryableError(f"Airflow at {self._url} does not know the asset {ASSET} yet: is {DAG} parsed?")

    def _reset(self) -> None:
        # The token may have expired, or Airflow may have been re-created with different ids.
        if self._client is not None:
            self._client.close()
        self._client, self._asset_id = None, None


class Announcer:
    """Announces landed events in the background; `landed` returns immediately."""

    def __init__(self, airflow: AirflowAssets | None, state: Path | None = None) -> None:
        """Start the thread. Without Airflow, there is no thread, and nothing is announced."""
        self._airflow = airflow
        self._pending = threading.Event()
        self._closing = threading.Event()
        self.thread = BackgroundThread("announce", self._run, self._closing, state=state) if airflow else None
        if self.thread:
            self.thread.start()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return an announcer for the Airflow URL in the settings. Without a URL, it announces nothing."""
        if not settings.airflow_url:
            return cls(None)
        user, password = settings.airflow_landing_user, settings.require("airflow_landing_password")
        airflow = AirflowAssets(settings.airflow_url, user, password, ClientTls.of(settings))
        return cls(airflow, settings.state)

    def landed(self) -> None:
        """Request an announcement of landed events."""
        self._pending.set()

    def close(self) -> None:
        """Send a pending announcement if Airflow is available, then stop."""
        self._closing.set()
        if self.thread:
            self.thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        is_unavailable = False
        while not (self._closing.is_set() and not self._pending.is_set()):
            if not self._pending.wait(timeout=0.5):
                self._report_success()
                continue
            # Clear the flag before the call, so that events that land during the call are announced, too.
            self._pending.clear()
            try:
                is_unavailable = not self._announce(was_unavailable=is_unavailable)
            except BaseException:
                self._pending.set()  # the restarted thread must announce these events
                raise
            self._report_success()
            if is_unavailable:
                self._pending.set()
                if self._closing.is_set():
                    return
            self._closing.wait(RETRY_SECONDS if is_unavailable else PAUSE_SECONDS)

    def _report_success(self) -> None:
        if self.thread:
            self.thread.report_success()

    def _announce(self, *, was_unavailable: bool) -> bool:
        if self._airflow is None:
            return True
        started = time.monotonic()
        try:
            is_sent = self._airflow.announce()
        except RetryableError as error:
            if not was_unavailable:
                log.warning("not announced; retrying", error=str(error))
            return False
        log.info(
            "announced" if is_sent else "not announced: a queued run will read the events",
            seconds=round(time.monotonic() - started, 2),
        )
        return True
