"""The service during and after outages of its dependencies."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest

from infra.local.ports import choose
from infra.local.stack import Stack
from ingestion.contract_validation import EncodedEvent, encode
from ingestion.spool import Limits, Spool
from lakehouse.contracts.page import PageViewed
from lakehouse.errors import ContractViolation, RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from serving.errors import NotPersisted
from serving.publication_reader import Warehouse
from serving.spool_sender import SpoolSender
from tests.polling import until
from tests.serving.live_server import Api, health_of, serving
from tests.serving.topic_reader import read_until


@contextmanager
def forwarding(port: int, to: str) -> Iterator[None]:
    """Forward connections to another address: a broker that is unavailable until this starts."""
    host, _, target = to.partition(":")
    listener = socket.create_server(("127.0.0.1", port))
    ends: list[socket.socket] = [listener]

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
        except OSError:
            return

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection((host, int(target)))
            ends.extend([near, far])
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                end.close()


def page_viewed(user_id: str) -> EncodedEvent:
    return encode(PageViewed(user_id=user_id, page="p"), at=datetime.now(UTC), source="test")


def sender_to(bootstrap: str, folder: Path, limits: Limits | None = None) -> SpoolSender:
    return SpoolSender(KafkaConnection(bootstrap), Spool(folder, "okr-api", limits))


def test_events_posted_during_a_broker_outage_are_sent_afterwards(kafka: Settings, tmp_path: Path) -> None:
    port = choose(set())
    sender = sender_to(f"127.0.0.1:{port}", tmp_path)
    sender.start()
    event = page_viewed("waits")
    sender.post([event])
    try:
        until(lambda: sender.problem, "the sender notices that the broker is unavailable")
        with forwarding(port, kafka.kafka_bootstrap):
            read_until(kafka, event.topic, lambda value: value == event.value, limit_s=60)
            until(lambda: sender.counts["sent"], "the event is acknowledged")
            assert sender.problem is None
            sender.stop()
    finally:
        sender.stop()
    assert dict(sender.counts) == {"posted": 1, "sent": 1}


def test_an_accepted_event_survives_a_restart_of_the_service(kafka: Settings, tmp_path: Path) -> None:
    event = page_viewed("outlives")
    before = sender_to(f"127.0.0.1:{choose(set())}", tmp_path)
    before.start()
    assert before.deliver(event) is False
    before.stop()
    after = sender_to(str(kafka.kafka_bootstrap), tmp_path)
    after.start()
    try:
        read_until(kafka, event.topic, lambda value: value == event.value, limit_s=60)
    finally:
        after.stop()
    assert after.state().waiting == 0


def test_a_full_spool_rejects_events_with_an_error(tmp_path: Path) -> None:
    sender = sender_to(f"127.0.0.1:{choose(set())}", tmp_path, Limits(events=10))
    event = page_viewed("rejected")
    sender.post([event] * 10)
    with pytest.raises(NotPersisted):
        sender.post([event])
    with pytest.raises(NotPersisted):
        sender.deliver(event)
    assert dict(sender.counts) == {"posted": 10, "not_persisted": 2}


def test_a_persisted_event_is_no_error_when_the_spool_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = sender_to(f"127.0.0.1:{choose(set())}", tmp_path)

    def busy(_position: int) -> NoReturn:
        raise RetryableError("Another process has held the spool for too long. Nothing was kept.")

    monkeypatch.setattr(sender.spool, "event_status", busy)
    assert sender.deliver(page_viewed("kept")) is False
    assert sender.state().waiting == 1


def test_an_event_that_can_never_be_sent_is_rejected_immediately_and_others_are_sent(
    kafka: Settings, tmp_path: Path
) -> None:
    sender = sender_to(str(kafka.kafka_bootstrap), tmp_path)
    good = page_viewed("goes on")
    too_large = replace(good, value=b"x" * 5_000_000)
    sender.start()
    try:
        with pytest.raises(ContractViolation, match="at most"):
            sender.deliver(too_large)
        assert sender.deliver(good) is True
        assert sender.is_sending
    finally:
        sender.stop()
    assert dict(sender.counts) == {"posted": 1, "not_persisted": 1, "sent": 1}


def test_health_recovers_with_the_broker(api: Api, tmp_path: Path, kafka: Settings) -> None:
    port = choose(set())
    away = api.settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{port}", "state": tmp_path})

    def events(cut_off: Api) -> dict[str, Any]:
        return dict(health_of(cut_off)["checks"]["events"])

    with serving(away) as cut_off:
        cut_off.services.write_sender.post([page_viewed("well again")])
        until(lambda: events(cut_off)["status"] == "degraded", "health tells that events wait")
        assert events(cut_off)["waiting"] > 0
        with forwarding(port, kafka.kafka_bootstrap):
            until(lambda: events(cut_off)["status"] == "ok", "health is well again")
            until(lambda: events(cut_off)["waiting"] == 0, "nothing waits any more")


def test_health_reports_a_stopped_sending_thread(api: Api) -> None:
    with serving(api.settings) as silent:
        assert health_of(silent)["checks"]["events"]["status"] == "ok"
        silent.services.write_sender.stop()
        health = health_of(silent)
    assert (health["status"], health["checks"]["events"]["status"]) == ("degraded", "degraded")
    assert "restarted" in health["checks"]["events"]["detail"]


def test_a_check_in_is_accepted_however_many_forecasts_wait_for_the_log(api: Api, tmp_path: Path) -> None:
    update = {"kafka_bootstrap": f"127.0.0.1:{choose(set())}", "state": tmp_path, "prediction_log_bytes": 2**17}
    with serving(api.settings.model_copy(update=update)) as cut_off:
        headers = cut_off.headers("app")
        listed = cut_off.client.get("/v1/key-results", headers=headers, params={"status": "on_track"}).json()
        running = [each["key_result_id"] for each in listed["key_results"]]
        statuses = []
        while 503 not in statuses:
            answer = cut_off.client.post("/predict", headers=headers, json={"key_result_ids": running})
            statuses.append(answer.status_code)
            assert len(statuses) < 600
        body = {"key_result_id": running[0], "value": 1.0, "confidence": 0.5, "note": "still taken"}
        posted = cut_off.client.post("/v1/check-ins", headers=headers, json=body)
        assert posted.status_code < 300, posted.text
        checks = health_of(cut_off)["checks"]
        assert checks["prediction_log"]["not_persisted"] > 0
        assert (checks["events"]["not_persisted"], checks["events"]["waiting"]) == (0, 1)


def test_a_failing_thread_degrades_health_and_keeps_running(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(api.settings) as failing:
        runtime = failing.services.prediction.runtime
        monkeypatch.setattr(runtime, "look", lambda: 1 / 0)

        def threads() -> dict[str, Any]:
            return dict(health_of(failing)["checks"]["threads"])

        until(lambda: threads()["status"] == "degraded", "health tells of the thread")
        assert "The thread models has failed" in threads()["detail"]
        assert runtime.thread.is_alive
        monkeypatch.undo()
        until(lambda: threads()["status"] == "ok", "the thread goes on")


def test_the_next_request_gets_a_connection_however_many_postgresql_dropped(
    postgres: Settings, test_stack: Stack
) -> None:
    warehouse = Warehouse(postgres.require("dsn_serving"))
    warehouse.open()
    try:
        with ExitStack() as lent:
            for _ in range(6):
                lent.enter_context(warehouse.connection())
        with psycopg.connect(test_stack.env["OKR_PG_SUPERUSER_DSN"]) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'okr-serving'"
            )
        for _ in range(6):
            with warehouse.connection() as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        warehouse.close()


def test_the_next_request_succeeds_after_postgresql_dropped_every_connection(api: Api, test_stack: Stack) -> None:
    headers = api.headers("app")
    for _ in range(3):
        assert api.client.get("/v1/okr-progress", headers=headers).status_code == 200
        with psycopg.connect(test_stack.env["OKR_PG_SUPERUSER_DSN"]) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'okr-serving'"
            )
