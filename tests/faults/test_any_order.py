"""Produce, read, land, crash, rebalance, load, compact and verify in any order: the ledger passes after each step.

Two workers share the partitions of one topic, not always correctly: a worker may keep partitions that were reassigned,
and may have batches that it read long ago. A crash happens between any two steps of landing a batch. (Real process
deaths at these steps are in test_landing_kills.)
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import count
from pathlib import Path
from typing import ClassVar

import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from infra.kafka.topics import PARTITIONS
from ingestion.batch import Batch, Limits
from ingestion.consumer_groups import LANDING_GROUP
from ingestion.contract_validation import EncodedEvent
from ingestion.decoding import decode_batch
from ingestion.landing.commit import FencedError, LandingTable
from ingestion.landing.consumer import land
from ingestion.ledger import verify
from ingestion.loading import load
from ingestion.maintenance import maintain
from ingestion.producer import EventProducer
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.lake import table_uri
from lakehouse.settings import Settings
from tests.faults.lake import TOPIC, Events, landed_rows
from tests.faults.proof import prove
from tests.faults.topics import Topics
from tests.ingestion.manual_assignment import ManualConsumer, reader_by_hand

Database = Callable[[], AbstractContextManager[Settings]]

WORKERS = st.integers(0, 1)
CRASHES = ("nowhere", "after decoding", "with the files written", "after the Delta commit")


class CrashError(Exception):
    """The worker dies at this step and loses everything in memory."""


class LandingWorker:
    """One worker that reads batches and lands them later, in the order in which it read them."""

    def __init__(self, pipeline: Settings, log_id: str) -> None:
        self.reader, self.client = reader_by_hand(ManualConsumer, pipeline.kafka_bootstrap, LANDING_GROUP, [TOPIC])
        self.table = LandingTable(pipeline.lake_uri, TOPIC, log_id, LANDING_GROUP)
        self.batches: list[Batch] = []
        self.reader.start(self._lake_offsets)

    def assign(self, partitions: set[int]) -> None:
        """Take these partitions but keep the batches read before, like a worker that hung meanwhile."""
        self.client.give(TOPIC, partitions)
        self.reader.rewind()

    def read(self, rows: int) -> None:
        """Read a batch and keep it."""
        batch = self.reader.poll(Limits(rows=rows, seconds=0.15))
        if batch.rows:
            self.batches.append(batch)

    def land(self, crash: str) -> None:
        """Land the oldest batch; a fenced worker discards all batches and continues at the lake's offset."""
        batch = self.batches.pop(0)
        spans = batch.spans(TOPIC)
        rows = decode_batch(TOPIC, batch.parsed[TOPIC])
        if crash == "after decoding":
            raise CrashError
        try:
            with pytest.MonkeyPatch.context() as patch:
                if crash == "with the files written":
                    patch.setattr(DeltaTable, "create_write_transaction", self._crash)
                self.table.append(rows, spans)
        except FencedError:
            self.batches.clear()
            self.reader.rewind()
            return
        if crash == "after the Delta commit":
            raise CrashError
        self.reader.report_stored(TOPIC, spans)

    def close(self) -> None:
        """Close the connection."""
        self.reader.close()

    def _crash(self, *_arguments: object, **_options: object) -> None:
        raise CrashError

    def _lake_offsets(self, assigned: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int | None]:
        self.table.refresh()
        return {(topic, partition): self.table.next_offset(partition) for topic, partition in assigned}


class AnyOrder(RuleBasedStateMachine):
    """The pipeline of one example, with an emptied topic, a new lake and a new database."""

    kafka: ClassVar[Settings]
    new_database: ClassVar[Database]
    check_in: ClassVar[Events]
    folder: ClassVar[Path]
    examples: ClassVar["count[int]"]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        others = self.stack.enter_context(type(self).new_database())
        self.pipeline = others.model_copy(
            update={
                "kafka_bootstrap": self.kafka.kafka_bootstrap,
                "lake_uri": str(self.folder / f"lake-{next(self.examples)}"),
                "airflow_url": "",
            }
        )
        topics = Topics(self.pipeline.kafka_bootstrap)
        topics.empty()
        self.log_id = topics.log_id(TOPIC)
        self.producer = self.stack.enter_context(EventProducer(KafkaConnection.of(self.pipeline)))
        self.sent = self.distinct = 0
        self.repeated: EncodedEvent | None = None
        self.everything = set(range(PARTITIONS[TOPIC]))
        self.assigned = [self.everything, set[int]()]
        self.workers = [self._new_worker(number) for number in range(2)]

    def _new_worker(self, number: int) -> LandingWorker:
        worker = LandingWorker(self.pipeline, self.log_id)
        worker.assign(self.assigned[number])
        return worker

    @initialize(number=st.integers(1, 60))
    def first_events(self, number: int) -> None:
        self.produce(number, 0)

    @rule(number=st.integers(1, 60), bad=st.integers(0, 3))
    def produce(self, number: int, bad: int) -> None:
        for each in range(self.distinct, self.distinct + number):
            self.producer.send(type(self).check_in(each * 700))
        for each in range(bad):
            self.producer.send_raw(TOPIC, b"%d" % each, b"{")
        self.producer.flush()
        self.distinct += number + bad
        self.sent += number + bad

    @rule(number=st.integers(1, 5))
    def send_again(self, number: int) -> None:
        self.distinct += self.repeated is None
        self.repeated = self.repeated or type(self).check_in(-1)
        for _ in range(number):
            self.producer.send(self.repeated)
        self.producer.flush()
        self.sent += number

    @rule(worker=WORKERS, rows=st.integers(1, 80))
    def read(self, worker: int, rows: int) -> None:
        self.workers[worker].read(rows)

    @precondition(lambda self: any(worker.batches for worker in self.workers))
    @rule(worker=WORKERS, crash=st.sampled_from(CRASHES))
    def land(self, worker: int, crash: str) -> None:
        number = worker if self.workers[worker].batches else 1 - worker
        try:
            self.workers[number].land(crash)
        except CrashError:
            self.workers[number].close()
            self.workers[number] = self._new_worker(number)

    @rule(mine=st.sets(st.integers(0, 3)), is_known_to_both=st.booleans())
    def rebalance(self, mine: set[int], is_known_to_both: bool) -> None:
        """Assign partitions to the first worker and the others to the second; possibly only the second one knows."""
        self.assigned[1] = self.everything - mine
        self.workers[1].assign(self.assigned[1])
        if is_known_to_both:
            self.assigned[0] = mine
            self.workers[0].assign(mine)

    @rule()
    def load(self) -> None:
        load(self.pipeline)

    @rule(is_thorough=st.booleans())
    def compact(self, is_thorough: bool) -> None:
        if is_thorough:  # also deletes files that old snapshots need
            table = DeltaTable(table_uri(self.pipeline.lake_uri, TOPIC))
            table.optimize.compact()
            table.create_checkpoint()
            table.vacuum(0, dry_run=False, enforce_retention_duration=False)
        maintain(self.pipeline)

    @invariant()
    def the_ledger_passes(self) -> None:
        ledger = verify(self.pipeline)
        problems = [(topic.topic, topic.problems) for topic in ledger.topics if not topic.passed]
        assert not problems

    def teardown(self) -> None:
        with self.stack:
            for worker in self.workers:
                worker.close()
            land(self.pipeline, threading.Event(), drain=True)
            load(self.pipeline)
            prove(
                self.pipeline,
                fault="any order of produce, land, crash, rebalance, load, compact and verify",
                sent=self.sent,
                distinct=self.distinct,
            )


@pytest.mark.parametrize(
    "size", [(4, 15), pytest.param((25, 40), marks=[pytest.mark.chaos, pytest.mark.timeout(7200)])], ids=str
)
def test_the_ledger_is_consistent_after_operations_in_any_order(
    size: tuple[int, int], kafka: Settings, new_database: Database, check_in: Events, tmp_path: Path
) -> None:
    class Here(AnyOrder):
        pass

    Here.kafka, Here.new_database, Here.check_in = kafka, staticmethod(new_database), staticmethod(check_in)
    Here.folder, Here.examples = tmp_path, count()
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=size[0],
            stateful_step_count=size[1],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # shrinking a failure would take too long
            print_blob=True,
        ),
    )


def test_a_worker_that_wakes_up_lands_nothing_that_another_landed_meanwhile(
    kafka: Settings, new_database: Database, check_in: Events, tmp_path: Path
) -> None:
    """One particular order that must always be tested."""

    class Here(AnyOrder):
        pass

    Here.kafka, Here.new_database, Here.check_in = kafka, staticmethod(new_database), staticmethod(check_in)
    Here.folder, Here.examples = tmp_path, count()
    order = Here()
    try:
        order.produce(40, 0)
        order.read(0, 40)
        order.rebalance(set(), is_known_to_both=False)
        order.read(1, 40)
        order.land(1, "nowhere")
        order.land(0, "nowhere")
        order.the_ledger_passes()
        assert landed_rows(order.pipeline) == 40
    finally:
        order.teardown()
