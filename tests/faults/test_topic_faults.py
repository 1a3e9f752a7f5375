"""Topics that are missing, idle, get more partitions, or are re-created with or without their cluster."""

from pathlib import Path

import pytest

from ingestion.loading import load
from ingestion.producer import EventProducer
from lakehouse.errors import NEEDS_INTERVENTION, PermanentError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from tests.faults.broker import OwnBroker
from tests.faults.conftest import StartWorker
from tests.faults.lake import TOPIC, Events, drain, landed_rows, rows_by_partition, send_to
from tests.faults.proof import prove
from tests.faults.topics import Topics


def test_a_recreated_cluster_counts_offsets_from_0(
    own: Settings, check_in: Events, tmp_path: Path, start_worker: StartWorker
) -> None:
    """Landing into the old lake fails with an error; a new lake gets everything."""
    send_to(own, check_in, range(300))
    drain(own)
    load(own)
    with OwnBroker(tmp_path / "re-created") as broker:
        new = broker.at(own, Path(own.lake_uri))
        send_to(new, check_in, range(1000, 1400))
        worker = start_worker(new)
        assert worker.ended() == NEEDS_INTERVENTION, worker.text()
        assert "its offsets start again" in worker.text()
        assert landed_rows(new) == 300
        empty = new.model_copy(update={"lake_uri": str(tmp_path / "new lake")})
        drain(empty)
        with pytest.raises(PermanentError, match="cluster"):
            load(empty)
        assert landed_rows(empty) == 400
    prove(
        own,
        fault="the cluster is re-created: the old lake is rejected and unchanged",
        thread="Iceberg PR 16360",
        happened="the new cluster's offsets were below the stored ones, and every file was silently dropped",
        sent=300,
    )


def test_idle_partitions_and_topics_delay_nothing(own: Settings, check_in: Events, start_worker: StartWorker) -> None:
    """One of nine partitions has events, which are landed, loaded and verified while the others are empty."""
    workers = [start_worker(own) for _ in range(3)]  # two of them have only idle partitions
    sent = 0
    for _ in range(3):
        with EventProducer(KafkaConnection.of(own)) as producer:
            for _ in range(50):
                producer.send(check_in(sent * 50))  # one key result
                sent += 1
        workers[0].wait_until(lambda: landed_rows(own) == sent, "they are landed")  # noqa: B023 - waited for here
        assert load(own)[TOPIC] == 50
    assert len(rows_by_partition(own)) == 1
    prove(
        own,
        fault="eight of nine partitions are idle",
        thread="Iceberg #17811",
        happened="a task without records never answered, so each commit timed out and the watermark stalled",
        sent=sent,
    )


def test_a_worker_waits_for_a_missing_topic_and_does_not_create_it(
    own: Settings, topics: Topics, check_in: Events, start_worker: StartWorker
) -> None:
    topics.delete([TOPIC])
    worker = start_worker(own, arm="import ingestion.kafka_consumer as r; r.CONNECT_SECONDS = 2.0")
    worker.wait_until(lambda: f"it has no topic {TOPIC}" in worker.text(), "the worker reports the missing topic")
    assert TOPIC not in topics.names()
    topics.create([TOPIC])
    send_to(own, check_in, range(200))
    worker.wait_until(lambda: landed_rows(own) == 200, "landing begins")
    assert worker.end() == 0
    prove(own, fault="a topic is missing when the worker starts", sent=200)


def test_partitions_added_while_a_worker_lands_are_read_from_their_beginning(
    own: Settings, topics: Topics, check_in: Events, start_worker: StartWorker
) -> None:
    worker = start_worker(own, arm="client_settings(**{'topic.metadata.refresh.interval.ms': 1000})")
    send_to(own, check_in, range(200))
    worker.wait_until(lambda: landed_rows(own) == 200, "landing begins")
    topics.add_partitions(TOPIC, 7)
    send_to(own, check_in, range(200, 1200))
    worker.wait_until(lambda: landed_rows(own) == 1200, "the new partitions are landed")
    assert set(rows_by_partition(own)) >= {4, 5, 6}
    load(own)
    prove(own, fault="partitions added to a topic while a worker lands it", sent=1200)


@pytest.mark.parametrize("length", ["with fewer messages than had landed", "with more messages than had landed"])
def test_a_recreated_topic_is_not_mistaken_for_the_old_one(
    length: str, own: Settings, topics: Topics, check_in: Events, start_worker: StartWorker
) -> None:
    """Same cluster, same name, offsets from 0 again: events below the landed offset must not be skipped."""
    send_to(own, check_in, range(400))
    drain(own)
    topics.delete([TOPIC])
    topics.create([TOPIC])
    new_events = 100 if length.startswith("with fewer") else 900
    send_to(own, check_in, range(1000, 1000 + new_events))
    worker = start_worker(own)
    assert worker.ended(30) == NEEDS_INTERVENTION, worker.text()
    assert landed_rows(own) == 400
    new = own.model_copy(update={"lake_uri": f"{own.lake_uri} re-created"})
    drain(new)
    prove(
        new, fault=f"a topic re-created {length}: the old lake rejects it, a new lake gets all events", sent=new_events
    )


def test_a_topic_is_recreated_while_a_worker_reads_it(
    own: Settings, topics: Topics, check_in: Events, start_worker: StartWorker
) -> None:
    """The client continues at the old offset without an error; the worker must not land them in the old log."""
    send_to(own, check_in, range(50))
    worker = start_worker(own)
    worker.wait_until(lambda: landed_rows(own) == 50, "the old topic's events have landed")
    topics.delete([TOPIC])
    topics.create([TOPIC])
    send_to(own, check_in, range(1000, 1200))
    assert worker.ended() == NEEDS_INTERVENTION, worker.text()
    assert landed_rows(own) == 50
    new = own.model_copy(update={"lake_uri": f"{own.lake_uri} re-created"})
    drain(new)
    prove(
        new,
        fault="a topic re-created while a worker reads it: the old lake rejects it, a new lake gets all events",
        sent=200,
    )
