"""The alerts that fire now: from Alertmanager or, if it is not configured or away, from the recorded events.

This module uses neither FastAPI nor HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lakehouse.client_tls import ClientTls
from lakehouse.errors import OkrError, RetryableError
from lakehouse.http_client import http_client
from lakehouse.settings import Settings
from lakehouse.tls_problems import tls_problem
from serving.errors import NotPublished, PublishedByOlderRelease
from serving.processes.connection_gate import ConnectionGate
from serving.publication_reader import Row, Warehouse

if TYPE_CHECKING:
    import httpx

PACKAGE = "serving.alerts"
SHOWN = 500
CONNECT_S, ANSWER_S = 1.0, 5.0
SLOTS, WAIT_S = 4, 2.0
DEAD_MANS_SWITCH = "DeadMansSwitch"  # always fires, so that its absence shows that alerting is broken
CRITICAL = "critical"
NOT_CONFIGURED = "OKR_ALERTMANAGER_URL is not set, so this host cannot ask Alertmanager."


@dataclass(frozen=True)
class FiringAlert:
    """An alert that fires. `muted` says why nobody is notified: silenced, inhibited, or empty if somebody is."""

    alert: str
    severity: str | None
    service: str | None
    summary: str | None
    runbook: str | None
    started_at: datetime
    muted: str = ""


@dataclass(frozen=True)
class FiringAlerts:
    """At most SHOWN alerts, critical ones first, then the newest. `count` is the number of all.

    `as_of` is the time of the answer. If `problem` is not empty, Alertmanager could not be asked: the alerts are then
    those that had been recorded when the current publication was made at `as_of`, or unknown if `as_of` is None.
    `is_watched` says whether the dead man's switch fires, as it must (None if that is unknown).
    """

    alerts: Sequence[FiringAlert]
    count: int
    as_of: datetime | None
    problem: str = ""
    is_watched: bool | None = None

    @property
    def critical(self) -> int:
        """Return the number of critical alerts among those shown."""
        return sum(each.severity == CRITICAL for each in self.alerts)


class Alerts:
    """Finds the firing alerts. Thread-safe."""

    def __init__(self, settings: Settings, warehouse: Warehouse) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._gate = ConnectionGate("Alertmanager", SLOTS, WAIT_S)

    def firing(self) -> FiringAlerts:
        """Return the alerts that fire now, or what is known of them."""
        if not self._settings.alertmanager_url:
            return self._recorded(NOT_CONFIGURED)
        try:
            return self._ask()
        except RetryableError as error:
            return self._recorded(str(error))

    def _ask(self) -> FiringAlerts:
        import httpx

        url = self._settings.alertmanager_url
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        with self._gate.passing():
            try:
                tls = ClientTls.of(self._settings)
                with http_client(url.rstrip("/"), timeout_s=ANSWER_S, tls=tls) as client:
                    answer = client.get("/api/v2/alerts", timeout=timeout)
                return _firing_in(answer)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                self._gate.report_failure()
                reason = (tls_problem(error, url) or type(error).__name__).rstrip(".")
                raise RetryableError(f"Alertmanager at {url} does not respond ({reason}).") from error

    def _recorded(self, problem: str) -> FiringAlerts:
        try:
            found = self._warehouse.read(lambda reader: reader.rows(PACKAGE, "firing_alerts", {"limit": SHOWN}))
        except (NotPublished, PublishedByOlderRelease):
            return FiringAlerts([], 0, None, f"{problem} No publication has recorded alerts yet.")
        except OkrError as error:
            return FiringAlerts([], 0, None, f"{problem} The recorded alerts cannot be read: {error}")
        alerts = [_of_row(row) for row in found.value]
        count = found.value[0]["alert_count"] if found.value else 0
        return FiringAlerts(alerts, count, found.publication.data_as_of, problem)


def _firing_in(answer: "httpx.Response") -> FiringAlerts:
    """Return the alerts in an answer of Alertmanager.

    Raises:
        httpx.HTTPError: it is an error, or another program answered.
    """
    import httpx

    answer.raise_for_status()
    try:
        return _current(_array(answer.json()), datetime.now(UTC))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise httpx.DecodingError(f"not Alertmanager's API ({type(error).__name__})") from error


def _array(document: Any) -> list[dict[str, Any]]:
    if not isinstance(document, list):
        raise TypeError(type(document).__name__)
    return document


def _current(found: list[dict[str, Any]], now: datetime) -> FiringAlerts:
    switches = [each for each in found if each["labels"].get("alertname") == DEAD_MANS_SWITCH]
    alerts = [_of_api(each) for each in found if each not in switches]
    alerts.sort(key=lambda each: (each.severity != CRITICAL, -each.started_at.timestamp(), each.alert))
    return FiringAlerts(alerts[:SHOWN], len(alerts), now, is_watched=bool(switches))


def _of_api(found: dict[str, Any]) -> FiringAlert:
    labels, annotations, status = found["labels"], found.get("annotations", {}), found.get("status", {})
    muted = "silenced" if status.get("silencedBy") else "inhibited" if status.get("inhibitedBy") else ""
    return FiringAlert(
        labels.get("alertname", "unnamed"), labels.get("severity"), labels.get("service"), annotations.get("summary"),
        annotations.get("runbook"), datetime.fromisoformat(found["startsAt"]), muted,
    )  # fmt: skip


def _of_row(row: Row) -> FiringAlert:
    return FiringAlert(row["alert"], row["severity"], row["service"], row["summary"], row["runbook"], row["started_at"])
