"""Faults of Kafka itself: truncated and compacted logs, transactions, wrong committed offsets."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest

from ingestion.batch import Batch, Limits
from ingestion.consumer_groups import LANDING_GROUP, landing_group
from ingestion.decoding import decode_batch
from ingestion.kafka_consumer import KafkaConsumer
from ingestion.landing.commit import FencedError, LandingTable
from ingestion.ledger import verify
from ingestion.loading import load
from lakehouse.errors import NEEDS_INTERVENTION
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.faults.conftest import StartWorker
from tests.faults.lake import TOPIC, Events, drain, landed_rows, rows_by_partition, send_to
from tests.faults.proof import prove
from tests.faults.topics import Topics
from tests.polling import until


def test_a_log_truncated_before_landing_started_is_landed_from_its_first_offset(
    own: Settings, topics: Topics, check_in: Events
) -> None:
    send_to(own, check_in, range(400))
    cut = topics.cut(TOPIC, 0, 30) + topics.cut(TOPIC, 2, 1)
    drain(own)
    send_to(own, check_in, range(400, 500))
    drain(own)
    prove(own, fault="a log truncated before anything was landed", sent=500 - cut)


@pytest.mark.chaos
def test_a_log_truncated_below_the_landed_offsets_is_no_loss(own: Settings, topics: Topics, check_in: Events) -> None:
    send_to(own, check_in, range(400))
    drain(own)
    for partition, offsets in rows_by_partition(own).items():
        topics.cut(TOPIC, partition, offsets[-1] - 5)
    send_to(own, check_in, range(400, 500))
    drain(own)
    load(own)
    prove(own, fault="a log truncated by retention below the landed offsets", sent=500)


def test_a_log_truncated_beyond_the_landed_offsets_stops_the_worker_and_skips_nothing(
    own: Settings, topics: Topics, check_in: Events, start_worker: StartWorker
) -> None:
    send_to(own, check_in, range(400))
    drain(own)
    load(own)
    send_to(own, check_in, range(400, 500))
    landed = rows_by_partition(own)[0][-1]
    assert topics.cut(TOPIC, 0, landed + 3) > landed
    worker = start_worker(own)
    assert worker.ended() == NEEDS_INTERVENTION, worker.text()
    assert "Nothing was skipped" in worker.text()
    assert "offset-out-of-range.md" in worker.text()
    assert rows_by_partition(own)[0][-1] == landed
    gone = f"offsets {landed + 1}-{landed + 2} never landed, and the broker no longer has them"
    assert problems(own) == [f"partition 0: {gone}"]
    # The runbook's solution: an operator accepts the loss.
    asked = start_worker(own, "lake", "accept-loss")
    assert (asked.ended(), "Nothing was changed" in asked.text()) == (0, True), asked.text()
    assert problems(own) == [f"partition 0: {gone}"]
    accepted = start_worker(own, "lake", "accept-loss", "--yes")
    assert accepted.ended() == 0, accepted.text()
    assert f"{TOPIC}/0: 2 offsets ({landed + 1}-{landed + 2})" in accepted.text()
    drain(own)
    load(own)
    with connect(own.require("dsn_loader")) as connection:
        noted = connection.execute("SELECT first_offset, next_offset FROM ops.excused_gap WHERE is_lost").fetchall()
    assert noted == [(landed + 1, landed + 3)]
    prove(
        own,
        fault="a log truncated beyond the landed offsets: the worker stops until an operator accepts the loss of two "
        "events",
        thread="Hudi #5400",
        happened="an offset out of range was silently replaced by the earliest available",
        sent=498,
    )


def problems(settings: Settings) -> list[str]:
    return [problem for topic in verify(settings).topics for problem in topic.problems]


def test_a_topic_is_compacted_beyond_and_below_the_landed_offsets(
    own: Settings, topics: Topics, check_in: Events
) -> None:
    """Records that compaction removes before they are read are not lost by us; the offsets stay, with gaps."""
    sent = itertools.count()

    def send_more(count: int) -> None:
        first = next(sent)
        send_to(own, check_in, range(first, first + count))
        for _ in range(count - 1):
            next(sent)

    def send_until_compacted(removed: int) -> Mapping[int, list[int]]:
        topics.compact(TOPIC)
        send_more(300)

        def is_compacted() -> bool:
            send_more(20)  # which closes the previous segment: the last one is never compacted
            return topics.end_offsets(TOPIC) - topics.count_records(TOPIC) >= removed

        until(is_compacted, "compaction has removed records", pause=0.3)
        topics.stop_compacting(TOPIC)
        return topics.read(TOPIC)

    kept = send_until_compacted(removed=100)
    drain(own)
    assert rows_by_partition(own) == kept
    landed = {partition: set(offsets) for partition, offsets in kept.items()}
    kept = send_until_compacted(removed=300)
    drain(own)
    load(own)
    for partition, offsets in kept.items():
        beyond = {offset for offset in offsets if offset > max(landed[partition])}
        landed[partition] |= beyond
    assert rows_by_partition(own) == {partition: sorted(offsets) for partition, offsets in landed.items()}
    prove(
        own,
        fault="a topic compacted before and during landing",
        sent=sum(len(offsets) for offsets in landed.values()),
    )


def test_aborted_and_open_transactions_are_not_landed(
    own: Settings, check_in: Events, start_worker: StartWorker
) -> None:
    from confluent_kafka import Producer

    transactional = Producer({"bootstrap.servers": own.kafka_bootstrap, "transactional.id": "faults"})
    transactional.init_transactions(30)
    worker = start_worker(own)

    def transaction(numbers: range) -> None:
        transactional.begin_transaction()
        for number in numbers:
            event = check_in(number)
            transactional.produce(event.topic, event.value, event.key)
        transactional.flush(30)

    for start in range(0, 500, 100):
        transaction(range(start, start + 100))
        transactional.abort_transaction(30) if start % 200 else transactional.commit_transaction(30)
    transaction(range(500, 600))  # open: later records wait for it and are not lost
    send_to(own, check_in, range(600, 700))
    worker.wait_until(lambda: landed_rows(own) >= 300, "the committed transactions are landed")
    assert landed_rows(own) < 700 - 200
    transactional.commit_transaction(30)
    worker.wait_until(lambda: landed_rows(own) >= 500, "records after the open transaction are landed")
    assert worker.end() == 0
    load(own)
    prove(own, fault="aborted, committed and open transactions in one topic", sent=500)


@pytest.mark.parametrize("ahead", [True, False], ids=["ahead of the lake", "behind the lake"])
def test_a_wrong_offset_of_the_consumer_group_is_ignored(
    ahead: bool, own: Settings, topics: Topics, check_in: Events, start_worker: StartWorker
) -> None:
    """Partitions are assigned with the lake's offsets; nothing is read from the group's offsets."""
    send_to(own, check_in, range(400))
    drain(own)
    send_to(own, check_in, range(400, 500))
    topics.commit_offsets(landing_group(own), TOPIC, to_end=ahead)
    worker = start_worker(own, "consume", "land", "--drain")
    assert worker.ended() == 0, worker.text()
    threads = {
        True: (
            "Iceberg #17551",
            "a consumer resumed from an outdated offset that a zombie had committed; once that offset had expired, "
            "events were skipped",
        ),
        False: ("kafka-delta-ingest PR 92", "a consumer read from the earliest offset before its seek took effect"),
    }
    where = "ahead of" if ahead else "behind"
    thread, happened = threads[ahead]
    prove(own, fault=f"the group's offsets are {where} the lake", thread=thread, happened=happened, sent=500)


def test_a_worker_that_lands_in_another_lake_by_mistake_takes_no_partitions(
    own: Settings, check_in: Events, start_worker: StartWorker, tmp_path: Path
) -> None:
    stray = own.model_copy(update={"lake_uri": str(tmp_path / "stray")})
    right, wrong = start_worker(own), start_worker(stray)
    right.wait_until(lambda: "reading" in right.text(), "the right one has its partitions")
    wrong.wait_until(lambda: "reading" in wrong.text(), "the wrong one has its partitions, too")
    send_to(own, check_in, range(200))
    right.wait_until(lambda: landed_rows(own) == 200, "all of it is in the right lake")
    wrong.wait_until(lambda: landed_rows(stray) == 200, "all of it is in the other lake, too")
    assert (right.end(), wrong.end()) == (0, 0)
    load(own)
    prove(own, fault="a worker that lands in another lake by mistake", sent=200)


def test_offsets_read_before_a_reassignment_are_committed_after_it(
    own: Settings, topics: Topics, check_in: Events, start_worker: StartWorker
) -> None:
    """A consumer has a batch when its partitions are reassigned; then it commits the offsets and tries to land it."""
    send_to(own, check_in, range(400))
    table = LandingTable(own.lake_uri, TOPIC, topics.log_id(TOPIC), LANDING_GROUP)
    stale = KafkaConsumer(KafkaConnection.of(own), landing_group(own), [TOPIC])
    stale.start(lambda assigned: {place: table.next_offset(place[1]) for place in assigned})
    batches: list[Batch] = []
    until(lambda: batches.append(stale.poll(Limits(rows=100))) or batches[-1].rows, "a batch is read")
    batch, spans = batches[-1], batches[-1].spans(TOPIC)
    worker = start_worker(own)
    worker.wait_until(
        lambda: stale.poll(Limits(rows=1, seconds=0.2)) and "reading" in worker.text(), "partitions have moved"
    )
    stale.report_stored(TOPIC, spans)
    stale.close()
    worker.wait_until(lambda: landed_rows(own) == 400, "the other worker has landed everything")
    with pytest.raises(FencedError):
        table.append(decode_batch(TOPIC, batch.parsed[TOPIC]), spans)
    send_to(own, check_in, range(400, 500))
    worker.wait_until(lambda: landed_rows(own) == 500, "the other worker continues")
    prove(
        own,
        fault="offsets read before a reassignment are committed after it",
        thread="confluent-kafka-python #700",
        happened="a consumer committed offsets that it had read before a reassignment; their messages were lost",
        sent=500,
    )


def test_offsets_regress_in_a_reassignment(own: Settings, check_in: Events, start_worker: StartWorker) -> None:
    """Each reassignment goes back to the lake's offset; later messages are read again but not landed twice."""
    first = start_worker(own, arm="batches_of(50)")
    for start in range(0, 600, 200):
        send_to(own, check_in, range(start, start + 200))
        second = start_worker(own, arm="batches_of(50)")
        second.wait_until(lambda: "reading" in second.text(), "partitions have moved")  # noqa: B023 - waited for here
        first, second = second, first
        assert second.end() == 0
    first.wait_until(lambda: landed_rows(own) == 600, "everything is landed")
    prove(
        own,
        fault="partitions reassigned from worker to worker during landing",
        thread="Iceberg #17340",
        happened="a reassignment moved the tracked offset back, and files were committed to the table again",
        sent=600,
    )
