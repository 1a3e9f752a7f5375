"""POST /v1/alerts: each transition of an alert becomes one event, whatever is sent, and however often."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from confluent_kafka import Consumer

from infra.local.ports import choose
from ingestion.contract_validation import decode
from ingestion.spool import Limits, Spool
from lakehouse.kafka_connection import KafkaConnection
from serving.alerts.recording import AlertRecorder, event_id, events_of
from serving.alerts.schemas import Webhook, WebhookAlert
from serving.errors import NotPersisted
from serving.spool_sender import SpoolSender
from tests.serving.alerts.notifications import START, alert, notification
from tests.serving.live_server import Api

TOPIC = "okr_data_pipeline"
LARGEST_BODY = 1_048_576


@pytest.fixture(scope="module")
def key(running_api: Api) -> str:
    """An API key that may only report alerts."""
    answer = running_api.client.post(
        "/admin/accounts/app/api-keys",
        json={"name": "Alertmanager", "scopes": ["report-alerts"]},
        headers=running_api.headers("admin"),
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["api_key"])


def report(api: Api, key: str, body: Any) -> httpx.Response:
    return api.client.post("/v1/alerts", json=body, headers={"Authorization": f"Bearer {key}"})


def recorded(api: Api, name: str, number: int, limit_s: float = 30) -> list[Any]:
    """Return the events about the alerts of a name, when there are `number` of them, in the order of the log."""
    consumer = Consumer(
        {"bootstrap.servers": api.settings.kafka_bootstrap, "group.id": name, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([TOPIC])
    found: list[Any] = []
    deadline = time.monotonic() + limit_s
    try:
        while len(found) < number:
            assert time.monotonic() < deadline, f"{len(found)} of {number} events after {limit_s} s"
            for message in consumer.consume(1_000, 0.5):
                if message.error() is None and name.encode() in (message.value() or b""):
                    found.append(decode(TOPIC, message.value(), message.key()))
    finally:
        consumer.close()
    return found


def test_each_transition_becomes_one_event_with_its_own_id(api: Api, key: str) -> None:
    firing, resolved = alert(1, alertname="Once"), alert(1, status="resolved", alertname="Once")
    answer = report(api, key, notification(firing))
    assert (answer.status_code, answer.json()) == (202, {"recorded": 1})
    assert report(api, key, notification(firing)).status_code == 202, "sent again, as after repeat_interval"
    assert report(api, key, notification(resolved)).status_code == 202
    events = recorded(api, "Once", 3)
    assert [each.payload.status for each in events] == ["firing", "firing", "resolved"]
    assert len({each.envelope.id for each in events}) == 2, "the repetition has the same id, and is counted once"
    first, last = events[0], events[-1]
    assert (first.payload.fingerprint, first.payload.severity, first.payload.service) == (
        f"{1:016x}",
        "critical",
        "api",
    )
    assert (first.payload.starts_at, first.payload.ends_at) == (START, None), "Alertmanager sends the year 1 as its end"
    assert (first.envelope.time, last.envelope.time) == (START, START + timedelta(minutes=5))
    assert first.payload.runbook == "docs/runbooks/api-down.md"
    assert first.payload.labels["instance"] == "host-1:8000"


def test_the_key_of_alertmanager_may_do_nothing_else(api: Api, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    assert api.client.get("/v1/okr-progress", headers=headers).status_code == 403
    assert api.client.get("/admin/state", headers=headers).status_code == 403
    assert report(api, api.token("lead"), notification(alert())).status_code == 403
    assert api.client.post("/v1/alerts", json=notification(alert())).status_code == 401


def test_fields_of_later_releases_are_ignored(api: Api, key: str) -> None:
    later = alert(2) | {"silencedBy": [], "new": {"deep": [1]}}
    assert report(api, key, notification(later, notificationReason="new")).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        [], {}, {"version": "4"}, {"version": "3", "alerts": []}, notification(alert() | {"status": "flapping"}),
        notification(alert() | {"fingerprint": "../../x"}), notification(alert() | {"startsAt": "yesterday"}),
        notification(alert() | {"startsAt": "2026-11-20T12:00:00"}), notification(alert() | {"labels": {"a": 1}}),
    ],
)  # fmt: skip
def test_what_is_no_notification_is_refused(api: Api, key: str, body: Any) -> None:
    answer = report(api, key, body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_storm_of_a_thousand_alerts_in_one_body_loses_none(api: Api, key: str) -> None:
    alerts = [alert(number, alertname="Storm") for number in range(1_000)]
    body = msgspec.json.encode(notification(*alerts))
    assert len(body) < LARGEST_BODY
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    answer = api.client.post("/v1/alerts", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"recorded": 1_000})
    assert len({each.envelope.subject for each in recorded(api, "Storm", 1_000)}) == 1_000


def _alert(**fields: Any) -> WebhookAlert:
    return WebhookAlert.model_validate(alert(3) | fields)


def test_no_alert_is_lost_because_of_its_texts() -> None:
    odd = _alert(
        labels={"severity": "critical\x00\ud800", "ok": "x" * 5_000, "n\u00e4me": "dropped", **dict.fromkeys(
            [f"label_{number}" for number in range(100)], "v")},
        annotations={"summary": "line 1\nline 2\u202e " + "y" * 9_000},
    )  # fmt: skip
    [event] = events_of([odd], datetime.now(UTC))
    data = decode(TOPIC, event.value, event.key).payload
    assert (data.alert, data.severity) == ("unnamed", "critical")
    assert data.summary.startswith("line 1 line 2 yyy")
    assert (len(data.summary), len(data.labels)) == (2_000, 32)


def test_a_clock_that_is_ahead_makes_no_event_from_the_future() -> None:
    now = datetime.now(UTC)
    [event] = events_of([_alert(startsAt=(now + timedelta(hours=2)).isoformat())], now)
    decoded = decode(TOPIC, event.value, event.key, logged_at=now)
    assert decoded.envelope.time == now
    assert decoded.payload.starts_at == now + timedelta(hours=2)


def test_ids_depend_on_the_moment_and_not_on_how_it_is_written() -> None:
    ids = {event_id(_alert(startsAt=text)) for text in ("2026-11-20T12:00:00Z", "2026-11-20T13:00:00+01:00")}
    assert len(ids) == 1
    assert event_id(_alert(status="resolved")) != event_id(_alert())
    assert event_id(_alert(startsAt="2026-11-20T12:00:01Z")) not in ids


def _recorder(folder: Path, limits: Limits) -> AlertRecorder:
    """Return a recorder whose broker is away."""
    return AlertRecorder(SpoolSender(KafkaConnection(f"127.0.0.1:{choose(set())}"), Spool(folder, "alerts", limits)))


def test_without_kafka_alerts_wait_on_disk(tmp_path: Path) -> None:
    recorder = _recorder(tmp_path, Limits())
    webhook = Webhook.model_validate(notification(alert(1), alert(2)))
    assert recorder.record(webhook) == 2
    with closing(Spool(tmp_path, "alerts")) as spool:  # as after a restart
        assert [event.key for event in spool.oldest(10)] == [f"{1:016x}".encode(), f"{2:016x}".encode()]


def test_a_full_spool_takes_no_part_of_a_notification(tmp_path: Path) -> None:
    recorder = _recorder(tmp_path, Limits(events=3))
    recorder.record(Webhook.model_validate(notification(alert(1), alert(2))))
    with pytest.raises(NotPersisted):  # a 503, after which Alertmanager tries again
        recorder.record(Webhook.model_validate(notification(alert(3), alert(4))))
    with closing(Spool(tmp_path, "alerts")) as spool:
        assert spool.state().waiting == 2
