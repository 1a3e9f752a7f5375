"""Clients of Kafka log in again at intervals (`connections.max.reauth.ms`), so a new password ends open connections.

Not all clients do: https://github.com/confluentinc/librdkafka/issues/3293
"""

import re
import time
from dataclasses import replace

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.kafka.users import KafkaUsers
from infra.local.executables import ROOT
from ingestion.producer import EventProducer
from tests.ops.tls.kafka_broker import REAUTHENTICATION_MS, SecuredBroker
from tests.polling import until

TOPIC = "okr_user_events"
LEAKED = "okr-leaked"
OLD, NEW = "0" * 24, "1" * 24
LIFE_S = REAUTHENTICATION_MS / 1000


def test_servers_demand_it_once_an_hour():
    text = (ROOT / "infra" / "kafka" / "server.properties").read_text(encoding="utf-8")
    assert re.findall(r"^connections\.max\.reauth\.ms=(\d+)$", text, re.MULTILINE) == ["3600000"]


def test_a_producer_sends_on_while_it_logs_in_again(broker: SecuredBroker, capsys: pytest.CaptureFixture[str]):
    producer = EventProducer(broker.connection(listener="SHORT"))
    ends_at = time.monotonic() + 4 * LIFE_S
    while time.monotonic() < ends_at:
        producer.send_raw(TOPIC, b"key", b"value")
        producer.flush(LIFE_S)
        time.sleep(0.05)
    assert "problem" not in capsys.readouterr().err


def test_an_open_connection_ends_after_its_password_has_changed(broker: SecuredBroker):
    users = KafkaUsers(broker.connection())
    users.set_password(LEAKED, OLD)
    client = AdminClient(replace(broker.connection(listener="SHORT"), user=LEAKED, password=OLD).client_settings())
    until(lambda: responds(client), "the user can log in")
    users.set_password(LEAKED, NEW)
    assert responds(client), "the connection is still open"
    until(lambda: not responds(client), "it is refused", seconds=5 * LIFE_S)


def responds(client: AdminClient) -> bool:
    try:
        client.list_topics(timeout=1)
    except KafkaException:
        return False
    return True
