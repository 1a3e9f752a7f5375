"""A whole stack whose services are killed: they restart, no event is lost, and runs complete."""

import json
from datetime import UTC, datetime

import psycopg
import pytest

from ingestion.contract_validation import encode
from ingestion.ledger import verify
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.errors import RetryableError
from lakehouse.ids import uuid7
from lakehouse.kafka_connection import KafkaConnection
from tests.e2e.conftest import *  # noqa: F403 -- the fixtures
from tests.e2e.running_stack import analyst, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("kafka", ("kafka.Kafka",)),
        ("the landing worker", ("lakehouse.cli", "consume", "land")),
        ("postgres", ("postgres", "-D")),
    ],
)
def test_a_killed_service_restarts_and_no_event_is_lost(running, service, words):
    running.kill(*words)
    ids = [str(uuid7()) for _ in range(50)]
    key_result = analyst_when_back(running, "SELECT key_result_id FROM marts.mart_okr_scorecard LIMIT 1")[0][0]
    with EventProducer(KafkaConnection.of(running.settings), client_id="after-a-kill") as producer:
        for check_in in ids:
            data = CheckInRecorded(check_in_id=check_in, key_result_id=key_result, value=1.0)
            producer.send(encode(data, at=datetime.now(UTC), source="test/kill"))

    def all_landed():  # as `okr lake verify` says, whose start takes longer than a check
        try:
            ledger = verify(running.settings)
        except RetryableError:
            return False
        topic = next(each for each in ledger.topics if each.topic == "okr_user_events")
        return ledger.passed and topic.produced is not None and topic.landed == topic.produced

    wait_until(f"everything lands after {service} was killed", all_landed, limit_s=150)
    assert json.loads(running.okr("lake", "verify", "--json"))["passed"]


def analyst_when_back(running, query):
    found = []

    def answers():
        try:
            found[:] = analyst(running, query)
        except psycopg.OperationalError:
            return False
        return True

    wait_until("PostgreSQL answers", answers, limit_s=60)
    return found


def test_a_scheduler_killed_during_a_run_restarts_and_completes_it(running, airflow):
    # A separate run that accepts implausible rows, because earlier tests sent some.
    run = airflow.start("okr_etl_dag", {"accept_raw_batch": True})
    wait_until("the run has started", lambda: "running" in airflow.tasks(run))
    running.kill("airflow", "scheduler")
    assert airflow.wait(run, 240, lambda _detail: None).state == "success"
