"""What stands behind the service goes away and comes back."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from infra.local.ports import choose
from infra.local.stack import Stack
from ingestion.events import encode
from lakehouse.contracts.page import PageViewed
from lakehouse.errors import ContractViolation
from lakehouse.settings import Settings
from serving.outbox import Outbox
from tests.serving.client import Api, serving
from tests.serving.topic import read_until


@contextmanager
def forwarding(port: int, to: str) -> Iterator[None]:
    """Pass bytes of connections to a port on to another address: a broker that is away until this begins."""
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


def test_what_is_posted_while_the_broker_is_away_is_sent_when_it_is_back(kafka: Settings) -> None:
    port = choose(set())
    outbox = Outbox(f"127.0.0.1:{port}")
    outbox.start()
    event = encode(PageViewed(user_id="waits", page="p"), at=datetime.now(UTC), source="test")
    outbox.post([event])
    try:
        with forwarding(port, kafka.kafka_bootstrap):
            read_until(kafka, event.topic, lambda value: value == event.value, limit_s=60)
            outbox.stop()
    finally:
        outbox.stop()
    assert (outbox.counts["sent"], outbox.counts["lost"]) == (1, 0)


def test_a_full_queue_loses_counted_events_and_never_waits() -> None:
    outbox = Outbox(f"127.0.0.1:{choose(set())}", waiting_most=10)
    event = encode(PageViewed(user_id="lost", page="p"), at=datetime.now(UTC), source="test")
    outbox.post([event] * 25)
    assert (outbox.counts["posted"], outbox.counts["lost"]) == (10, 15)


def test_an_event_that_can_never_be_sent_is_lost_alone_and_told(kafka: Settings) -> None:
    outbox = Outbox(str(kafka.kafka_bootstrap))
    good = encode(PageViewed(user_id="goes on", page="p"), at=datetime.now(UTC), source="test")
    too_large = replace(good, value=b"x" * 5_000_000)
    outbox.post([too_large, good])
    outbox.start()
    try:
        read_until(kafka, good.topic, lambda value: value == good.value, limit_s=60)
        with pytest.raises(ContractViolation, match="at most"):
            outbox.deliver(too_large)
        outbox.deliver(good)
        assert outbox.is_sending
    finally:
        outbox.stop()
    assert dict(outbox.counts) == {"posted": 2, "lost": 1, "sent": 2}


def test_a_service_that_sends_nothing_more_says_so(api: Api) -> None:
    with serving(api.settings) as silent:
        assert silent.client.get("/health").json()["checks"]["events"]["status"] == "ok"
        silent.services.outbox.stop()
        health = silent.client.get("/health").json()
    assert (health["status"], health["checks"]["events"]["status"]) == ("degraded", "degraded")
    assert "started anew" in health["checks"]["events"]["detail"]


def test_after_postgresql_dropped_every_connection_the_next_answer_is_good(api: Api, test_stack: Stack) -> None:
    headers = api.headers("app")
    for _ in range(3):
        assert api.client.get("/v1/okr-progress", headers=headers).status_code == 200
        with psycopg.connect(test_stack.env["OKR_PG_SUPERUSER_DSN"]) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'okr-serving'"
            )
