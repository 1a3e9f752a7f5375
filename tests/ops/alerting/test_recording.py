"""From Alertmanager to okr_data_pipeline: each transition is one event, through storms and while a part is away."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.alertmanager.api_key import ensure_key
from infra.alertmanager.receivers import Receivers
from infra.local.ports import choose
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.settings import Settings
from serving.alerts.firing import Alerts
from tests.figures import report
from tests.ops.alerting.alertmanagers import alertmanager
from tests.ops.alerting.conftest import Log
from tests.ops.alerting.forwarding import Gate
from tests.polling import until
from tests.serving.live_server import Api

STORM = 1_000
FAILED = 'alertmanager_notifications_failed_total{integration="webhook"}'
REQUEST_FAILED = 'alertmanager_notification_requests_failed_total{integration="webhook"}'


def labels(name: str, number: int = 0, severity: str = "critical") -> dict[str, str]:
    return {"alertname": name, "severity": severity, "service": "api", "instance": f"host-{number}"}


def test_an_alert_is_recorded_when_it_fires_and_when_it_ends(receivers: Receivers, tmp_path: Path, log: Log) -> None:
    with alertmanager(receivers, tmp_path) as manager:
        started_at = datetime.now(UTC).replace(microsecond=0)
        manager.send(labels("Whole"), starts_at=started_at)
        [firing] = log.named("Whole", 1)
        ended_at = datetime.now(UTC).replace(microsecond=0)
        manager.send(labels("Whole"), starts_at=started_at, ends_at=ended_at)
        events = log.named("Whole", 2)
    assert [each.payload.status for each in events] == ["firing", "resolved"]
    assert {each.payload.starts_at for each in events} == {started_at}
    assert (firing.payload.ends_at, events[1].payload.ends_at) == (None, ended_at)
    assert firing.payload.summary == "Whole fires."
    assert firing.payload.runbook == "docs/runbooks/x.md"


def test_a_restarted_alertmanager_records_nothing_new(receivers: Receivers, tmp_path: Path, log: Log) -> None:
    started_at = datetime.now(UTC)
    for folder in ("first", "second"):  # the second has lost the storage of the first
        (tmp_path / folder).mkdir()
        with alertmanager(receivers, tmp_path / folder) as manager:
            manager.send(labels("Again"), starts_at=started_at)
            log.named("Again", 1 if folder == "first" else 2)
    assert len({each.envelope.id for each in log.events if each.payload.alert == "Again"}) == 1


def test_a_storm_loses_no_alert_and_no_end(receivers: Receivers, tmp_path: Path, log: Log) -> None:
    started_at = datetime.now(UTC)
    storm = [labels("Tempest", number) for number in range(STORM)]
    with alertmanager(receivers, tmp_path) as manager:
        started = time.monotonic()
        manager.send(*storm, starts_at=started_at)
        log.distinct("Tempest", STORM, limit_s=120)
        seconds = time.monotonic() - started
        manager.send(*storm, starts_at=started_at, ends_at=datetime.now(UTC))
        events = log.distinct("Tempest", 2 * STORM, limit_s=120)
        failed = manager.metric(FAILED)
    for status in ("firing", "resolved"):
        assert len({each.payload.fingerprint for each in events if each.payload.status == status}) == STORM
    repeated = sum(each.payload.alert == "Tempest" for each in log.events) - 2 * STORM
    report(
        "Alerting: a storm",
        ["alerts at once", "recorded", "ends recorded", "until all were in Kafka", "failed notifications", "repeated"],
        [[f"{STORM:,}", f"{STORM:,}", f"{STORM:,}", f"{seconds:.1f} s", f"{failed:.0f}", str(repeated)]],
        "Repeated events have the same id and are counted once.",
    )


@contextmanager
def gate_to(api: Api) -> Iterator[Gate]:
    """Yield a port that leads to the API while it is open. Closing it breaks all connections."""
    gate = Gate(int(str(api.client.base_url).rpartition(":")[2]), choose(set()))
    try:
        yield gate
    finally:
        gate.close()


def test_while_the_api_is_away_alertmanager_retries(receivers: Receivers, api: Api, tmp_path: Path, log: Log) -> None:
    with gate_to(api) as gate:
        away = Receivers(f"http://127.0.0.1:{gate.port}", receivers.key_file)
        with alertmanager(away, tmp_path) as manager:
            manager.send(*(labels("Away", number) for number in range(20)))
            until(lambda: manager.metric(REQUEST_FAILED) >= 20, "every notification has failed")
            log.read(1)
            assert not [each for each in log.events if each.payload.alert == "Away"]
            gate.open()
            events = log.named("Away", 20)
    assert len({each.payload.fingerprint for each in events}) == 20


def test_an_alert_that_ends_long_before_the_api_is_back_is_not_recorded(
    receivers: Receivers, api: Api, tmp_path: Path, log: Log
) -> None:
    """Alertmanager does not report the end of what it could not report. docs/alerting.md says so."""
    with gate_to(api) as gate:
        away = Receivers(f"http://127.0.0.1:{gate.port}", receivers.key_file)
        with alertmanager(away, tmp_path) as manager:
            started_at = datetime.now(UTC)
            manager.send(labels("Brief"), starts_at=started_at)
            until(lambda: manager.metric(REQUEST_FAILED) >= 1, "the notification has failed")
            manager.send(labels("Brief"), starts_at=started_at, ends_at=datetime.now(UTC))
            until(lambda: not manager.alerts(), "the alert has ended")
            until(lambda: manager.metric(FAILED) >= 1, "Alertmanager has given the notification up")
            gate.open()
            manager.send(labels("Later"))
            log.named("Later", 1)
            log.read(3)
    assert not [each for each in log.events if each.payload.alert == "Brief"]


def test_an_invalid_key_is_noticed_and_replaced_while_alertmanager_runs(
    receivers: Receivers, api: Api, tmp_path: Path, log: Log
) -> None:
    receivers.key_file.write_text("okr_000000000000_" + "x" * 43)
    with alertmanager(receivers, tmp_path) as manager:
        manager.send(labels("Key"))
        until(lambda: manager.metric(FAILED) >= 1, "AlertsNotDelivered sees the failure")
        assert ensure_key(receivers.api_url, ("admin", api.settings.require("admin_password")), receivers.key_file)
        assert len(log.named("Key", 1)) == 1, "Alertmanager reads the file for each request"


def test_a_valid_key_is_kept_and_its_file_is_private(receivers: Receivers, api: Api) -> None:
    admin = ("admin", api.settings.require("admin_password"))
    before = receivers.key_file.read_text()
    assert not ensure_key(receivers.api_url, admin, receivers.key_file)
    assert receivers.key_file.read_text() == before
    assert receivers.key_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(PermanentError, match="rejects the login 'admin'"):
        ensure_key(receivers.api_url, ("admin", "wrong-password"), receivers.key_file.with_name("other"))
    with pytest.raises(RetryableError, match="does not respond"):
        ensure_key(f"http://127.0.0.1:{choose(set())}", admin, receivers.key_file)


def test_the_page_asks_the_real_alertmanager(
    receivers: Receivers, api: Api, api_settings: Settings, tmp_path: Path
) -> None:
    with alertmanager(receivers, tmp_path) as manager:
        alerts = Alerts(api_settings.model_copy(update={"alertmanager_url": manager.url}), api.services.warehouse)
        assert (alerts.firing().count, alerts.firing().is_watched) == (0, False)
        switch = {"alertname": "DeadMansSwitch", "severity": "none"}
        full, soon = ({"alertname": name, "instance": "h", "mountpoint": "/", "service": "host"} for name in
                      ("HostDiskFull", "HostDiskFullSoon"))  # fmt: skip
        started_at = datetime.now(UTC) - timedelta(hours=3)
        manager.send(switch, {**full, "severity": "critical"}, {**soon, "severity": "warning"}, starts_at=started_at)
        until(lambda: alerts.firing().count == 2, "both alerts arrived")
        until(lambda: alerts.firing().alerts[1].muted == "inhibited", "the warning is inhibited")
        found = alerts.firing()
    assert (found.problem, found.is_watched) == ("", True)
    assert [(each.alert, each.severity) for each in found.alerts] == [
        ("HostDiskFull", "critical"), ("HostDiskFullSoon", "warning"),
    ]  # fmt: skip
    assert abs(found.alerts[0].started_at - started_at) < timedelta(seconds=1)
    assert "does not respond" in alerts.firing().problem, "it was stopped"


def test_many_pages_do_not_wait_for_a_silent_alertmanager(api: Api, api_settings: Settings) -> None:
    gate = Gate(9, choose(set()))
    gate.listen()  # accepts connections and never answers
    try:
        url = f"http://127.0.0.1:{gate.port}"
        alerts = Alerts(api_settings.model_copy(update={"alertmanager_url": url}), api.services.warehouse)
        problems: list[str] = []
        threads = [threading.Thread(target=lambda: problems.append(alerts.firing().problem)) for _ in range(20)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - started < 15
        assert len(problems) == 20
        assert all(problems)
    finally:
        gate.close()
