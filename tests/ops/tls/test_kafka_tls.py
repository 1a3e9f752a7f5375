"""Kafka over SASL_SSL: each client works, and each refused connection says why in one line, within seconds."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from ingestion.bulk_producer import BulkProducer, KeyedMessage
from ingestion.kafka_consumer import KafkaConsumer
from ingestion.ledger.broker import Broker
from ingestion.producer import EventProducer
from lakehouse.errors import RetryableError
from lakehouse.kafka_connection import KafkaConnection, SecurityProtocol
from tests.figures import report
from tests.ops.certificates import CertificateAuthority
from tests.ops.tls.kafka_broker import ADMIN, SecuredBroker

TOPIC = "okr_user_events"
SAYS_WHY_WITHIN_SECONDS = 15.0
OTHER_AUTHORITY = "certificate of another authority"
NOT_SIGNED = r"The certificate of localhost:\d+ is not signed by an authority in OKR_CA_FILE \(.*\)\. Is this the right"
CLIENTS: dict[str, Callable[[KafkaConnection], Any]] = {
    "EventProducer": lambda kafka: EventProducer(kafka).flush(),
    "BulkProducer": lambda kafka: BulkProducer(kafka, TOPIC, "test").send([KeyedMessage(b"k", b"v")], 10),
    "KafkaConsumer": lambda kafka: KafkaConsumer(kafka, "okr-landing-test", [TOPIC]).close(),
    "Broker": lambda kafka: Broker(kafka).bounds(TOPIC),
}
FAULTS = {
    "expired certificate": (
        lambda broker: broker.connection(listener="EXPIRED"),
        r"The certificate of localhost:\d+ has expired\. Renew it",
    ),
    "certificate of another host": (
        lambda broker: broker.connection(listener="OTHERHOST"),
        r"The certificate of localhost:\d+ is for another host\. Connect to a name in it",
    ),
    "plaintext port": (
        lambda broker: broker.connection(listener="PLAINTEXT"),
        r"localhost:\d+ does not accept TLS\. Is this its plaintext port\?",
    ),
    "plaintext client": (
        lambda broker: broker.connection(protocol=SecurityProtocol.PLAINTEXT),
        r"localhost:\d+ expects TLS\. Set OKR_KAFKA_SECURITY_PROTOCOL to SASL_SSL\.",
    ),
    "wrong password": (
        lambda broker: broker.connection(password="wrong"),
        r"Kafka rejects the login of user 'okr-admin'\. Check OKR_KAFKA_USER and OKR_KAFKA_PASSWORD",
    ),
    "unknown user": (
        lambda broker: replace(broker.connection(), user="nobody"),
        r"Kafka rejects the login of user 'nobody'\.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    error: Exception | None
    seconds: float


@pytest.fixture(scope="module")
def outcomes(broker: SecuredBroker, other_authority: CertificateAuthority) -> dict[tuple[str, str], Outcome]:
    """The outcome of every attempt, by client and fault. They run at the same time, because most of them wait."""
    connections = {fault: connection(broker) for fault, (connection, _) in FAULTS.items()}
    connections[OTHER_AUTHORITY] = broker.connection(ca_file=str(other_authority.file))
    keys = list(product(CLIENTS, connections))

    def attempt(key: tuple[str, str]) -> Outcome:
        started, error = time.monotonic(), None
        try:
            CLIENTS[key[0]](connections[key[1]])
        except RetryableError as raised:
            error = raised
        return Outcome(error, time.monotonic() - started)

    with ThreadPoolExecutor(len(keys)) as pool:
        return dict(zip(keys, pool.map(attempt, keys), strict=True))


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_works_with_the_right_authority_and_login(client: str, broker: SecuredBroker) -> None:
    CLIENTS[client](broker.connection())


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fault", [*FAULTS, OTHER_AUTHORITY])
def test_a_refused_connection_says_why_in_one_line_within_seconds(
    client: str, fault: str, outcomes: dict[tuple[str, str], Outcome], broker: SecuredBroker
) -> None:
    outcome = outcomes[client, fault]
    text = str(outcome.error)
    assert re.search(FAULTS[fault][1] if fault in FAULTS else NOT_SIGNED, text), text
    assert "\n" not in text
    assert broker.passwords[ADMIN] not in text
    assert outcome.seconds < SAYS_WHY_WITHIN_SECONDS


def test_the_figures_of_refused_connections(outcomes: dict[tuple[str, str], Outcome]) -> None:
    faults = dict.fromkeys(fault for _, fault in outcomes)
    rows = [[fault, *(f"{outcomes[client, fault].seconds:.1f}" for client in CLIENTS)] for fault in faults]
    assert max(outcome.seconds for outcome in outcomes.values()) < SAYS_WHY_WITHIN_SECONDS
    report("Seconds until a client of Kafka says why it cannot connect", ["", *CLIENTS], rows)


def test_a_running_client_logs_why_it_retries(broker: SecuredBroker, capsys: pytest.CaptureFixture[str]) -> None:
    producer = EventProducer(broker.connection(listener="EXPIRED"), connect_seconds=0)
    producer.send_raw(TOPIC, b"key", b"value")
    with pytest.raises(RetryableError, match="did not acknowledge 1"):
        producer.flush(3.0)
    producer.abandon()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "has expired" in line]
    assert "the Kafka client has a problem and keeps retrying" in line


def test_a_service_logs_why_it_retries_in_one_line_without_its_password(
    broker: SecuredBroker, tmp_path: Path, other_authority: CertificateAuthority
) -> None:
    environment = {
        "PATH": os.environ["PATH"], "OKR_STATE": str(tmp_path), "OKR_LAKE_URI": str(tmp_path / "lake"),
        "OKR_KAFKA_BOOTSTRAP": broker.connection().bootstrap, "OKR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "OKR_KAFKA_USER": ADMIN, "OKR_KAFKA_PASSWORD": broker.passwords[ADMIN],
        "OKR_CA_FILE": str(other_authority.file),
    }  # fmt: skip
    okr = Path(sys.executable).with_name("okr")
    land = subprocess.Popen([okr, "consume", "land"], env=environment, stderr=subprocess.PIPE, text=True)
    assert land.stderr is not None
    line = land.stderr.readline()
    land.terminate()
    land.communicate(timeout=30)
    assert re.search(NOT_SIGNED, line), line
    assert broker.passwords[ADMIN] not in line
