"""The landing worker is killed with SIGKILL at every step of its protocol."""

import signal
import threading

import pytest

from ingestion.landing.consumer import land
from ingestion.producer import EventProducer
from lakehouse.settings import Settings
from tests.faults.conftest import StartWorker
from tests.faults.lake import Events
from tests.faults.proof import prove

DAYS_APART = 400  # seconds between two events: a batch of 200 is then two files

IMPORTS = """
import deltalake
import deltalake.transaction
from ingestion.landing import commit, consumer
from ingestion.landing.announce import Announcer
from ingestion.landing.commit import LandingTable
from ingestion.kafka_consumer import KafkaConsumer
"""
# Each step of the protocol, in order. Batches are small, so the third one is in the middle of the work.
STEPS = {
    "before it opens its tables": "before(LandingTable, '__init__', die)",
    "with half of its tables created": "after(LandingTable, '__init__', die, times=2)",
    "before it joins the group": "before(KafkaConsumer, 'start', die)",
    "after it joined the group": "after(KafkaConsumer, 'start', die)",
    "when partitions are assigned to it": "after(KafkaConsumer, '_on_assign', die)",
    "before it seeks": "before(KafkaConsumer, 'rewind', die)",
    "after its seek": "after(KafkaConsumer, 'rewind', die)",
    "after its first batch was read": "after(KafkaConsumer, 'poll', die, given=lambda batch: batch.rows)",
    "after its third batch was read": "after(KafkaConsumer, 'poll', die, given=lambda batch: batch.rows, times=3)",
    "after a batch was decoded": "after(consumer, 'decode_batch', die, given=lambda rows: rows.num_rows)",
    "before the first file is written": "before(commit, 'write_files', die)",
    "with one of several files written": "after(deltalake.transaction, 'AddAction', die)",
    "with every file written": "after(commit, 'write_files', die)",
    "before the Delta commit": "before(LandingTable, '_try_commit', die)",
    "during the Delta commit": "before(deltalake.DeltaTable, 'create_write_transaction', die_soon, times=2)",
    "after the Delta commit": "after(LandingTable, '_try_commit', die)",
    "between the commits of two topics": "before(LandingTable, 'append', die, times=2)",
    "before the offset commit to Kafka": "before(KafkaConsumer, 'report_stored', die)",
    "after the offset commit to Kafka": "after(KafkaConsumer, 'report_stored', die, times=2)",
    "before it announces": "before(Announcer, 'landed', die)",
    "when its partitions are revoked": "before(KafkaConsumer, '_on_revoke', die)",
    "while it leaves the group": "before(KafkaConsumer, 'close', die)",
}
# The steps where little has been done yet, or where a neighbour shows the same, are left to `make test-chaos`.
AT_LENGTH = {
    "before it opens its tables",
    "with half of its tables created",
    "before it joins the group",
    "after it joined the group",
    "before it seeks",
    "after its first batch was read",
    "after a batch was decoded",
    "before the first file is written",
    "before it announces",
    "after the offset commit to Kafka",
    "when its partitions are revoked",
    "while it leaves the group",
}
MARKED = [pytest.param(step, marks=pytest.mark.chaos if step in AT_LENGTH else ()) for step in STEPS]


def send(producer: EventProducer, check_in: Events, numbers: range) -> int:
    """Send check-ins over several days, and for each tenth a bad message to another topic; return how many."""
    for number in numbers:
        producer.send(check_in(number * DAYS_APART))
        if number % 10 == 0:
            producer.send_raw("okr_system_metrics", b"host", b"{")
    producer.flush()
    return len(numbers) + sum(number % 10 == 0 for number in numbers)


@pytest.mark.parametrize("step", MARKED)
def test_a_landing_worker_is_killed(
    step: str, pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    sent = send(producer, check_in, range(700))
    worker = start_worker(pipeline, "consume", "land", "--drain", arm=f"{IMPORTS}\n{STEPS[step]}")
    assert worker.ended() == -signal.SIGKILL, f"it was not killed {step}: {worker.text()}"
    sent += send(producer, check_in, range(700, 800))
    land(pipeline, threading.Event(), drain=True)
    prove(pipeline, fault=f"landing worker killed {step}", sent=sent)
