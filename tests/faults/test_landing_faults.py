"""Landing workers that hang, join, leave and fall behind; repeated events and events with wrong times."""

import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import psutil
import pytest
from pydantic import SecretStr

from ingestion.contract_validation import encode
from ingestion.landing.consumer import land
from ingestion.loading import load
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.lake import open_table, table_uri
from lakehouse.settings import Settings
from tests.faults.broker import OwnBroker
from tests.faults.conftest import StartWorker
from tests.faults.lake import TOPIC, Events, all_landed_rows, landed_rows
from tests.faults.proof import prove, verified
from tests.faults.worker import Worker
from tests.polling import until

IMPORTS = """
from ingestion.landing import commit, consumer
from ingestion.landing.commit import LandingTable
from ingestion.kafka_consumer import KafkaConsumer
"""


def send(producer: EventProducer, check_in: Events, numbers: range) -> None:
    for number in numbers:
        producer.send(check_in(number))
    producer.flush()


@contextmanager
def sending(producer: EventProducer, check_in: Events, count: int, pause_seconds: float) -> Iterator[threading.Thread]:
    """Send events in a hundred portions, with a pause after each, while the block runs."""
    failed: list[BaseException] = []

    def work() -> None:
        portion = max(1, count // 100)
        try:
            for start in range(0, count, portion):
                send(producer, check_in, range(start, min(start + portion, count)))
                time.sleep(pause_seconds)  # the rate of the events, not a wait for a condition
        except BaseException as error:  # reported to the test's thread
            failed.append(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join(600)
    assert not failed, failed


def until_landed(settings: Settings, count: int, seconds: float = 120.0) -> None:
    until(lambda: all_landed_rows(settings) >= count, f"{count} rows are landed", seconds)


@pytest.mark.parametrize(
    "count",
    [15_000, pytest.param(1_000_000, marks=[pytest.mark.chaos, pytest.mark.timeout(3600)])],
)
def test_three_workers_join_and_leave_at_random_while_events_flow(
    count: int, pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    chance, places = random.Random(count), [start_worker(pipeline) for _ in range(3)]
    arm = "batches_of(5_000)" if count > 100_000 else ""
    left = {"killed": 0, "terminated": 0}
    with sending(producer, check_in, count, pause_seconds=0.12 if count < 100_000 else 0.6) as sender:
        while sender.is_alive():
            place = chance.randrange(3)
            if not places[place].is_running():
                places[place] = start_worker(pipeline, arm=arm)
            elif left["killed"] > left["terminated"]:
                places[place].process.send_signal(signal.SIGTERM)
                left["terminated"] += 1
            else:
                places[place].kill()
                left["killed"] += 1
            time.sleep(chance.uniform(0.2, 2.0))  # the rate of the faults, not a wait for a condition
    places.append(start_worker(pipeline))
    until_landed(pipeline, count, seconds=1200)
    assert min(left.values()) > 0, left
    for worker in places:
        worker.leave()
    assert verified(pipeline)["topics"][TOPIC]["rejected"] == 0
    prove(pipeline, fault=f"three workers join and leave at random, {count:,} events", sent=count)


ZOMBIES = {
    "after reading a batch": "after(KafkaConsumer, 'poll', freeze, given=lambda batch: batch.rows, times=2)",
    "after writing every file": "after(commit, 'write_files', freeze, times=2)",
    "right before the Delta commit": "before(LandingTable, '_try_commit', freeze, times=2)",
    "right before the offset commit to Kafka": "before(KafkaConsumer, 'report_stored', freeze, times=2)",
}
THREADS = {
    "after writing every file": ("S3 sink #800", "a task that hung for half an hour woke up and wrote again"),
    "right before the offset commit to Kafka": (
        "Iceberg #17551",
        "a zombie overwrote the newer offset with its old one; once the old offset had expired, records were skipped",
    ),
}


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=() if step in THREADS else pytest.mark.chaos) for step in ZOMBIES]
)
def test_a_worker_that_hung_until_its_partitions_were_reassigned_wakes_up(
    step: str, pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    send(producer, check_in, range(1000))
    zombie = start_worker(pipeline, arm=f"{IMPORTS}\n{ZOMBIES[step]}")
    zombie.until_frozen()
    start_worker(pipeline)
    until_landed(pipeline, 1000)
    zombie.thaw()
    # It has rejoined the group when it lands something: with two workers it gets half of the partitions.
    waked = len(zombie.text())
    sent = 1000
    while " landed " not in zombie.text()[waked:]:
        assert sent < 100_000, f"the zombie never landed anything: {zombie.text()}"
        send(producer, check_in, range(sent, sent + 100))
        sent += 100
        until_landed(pipeline, sent)
    if step != "right before the offset commit to Kafka":
        assert "fenced" in zombie.text()  # otherwise it had landed its batch itself
    thread, happened = THREADS.get(step, ("", ""))
    prove(pipeline, fault=f"a worker hangs {step}, then resumes", thread=thread, happened=happened, sent=sent)


def test_a_terminated_worker_hands_over_immediately(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    """Neither a worker that joins nor one that leaves delays events until a session timeout."""
    session = "session_timeout(45_000)"  # waiting for it would exceed the limits below
    count = 10_000
    with sending(producer, check_in, count, pause_seconds=0.1):
        first = start_worker(pipeline, arm=session)
        first.wait_until(lambda: landed_rows(pipeline) > 0, "the first worker lands")
        second = start_worker(pipeline, arm=session)
        second.wait_until(lambda: " landed " in second.text(), "the second worker lands")
        assert first.end(30) == 0
    until_landed(pipeline, count, seconds=30)
    assert second.end(30) == 0
    prove(pipeline, fault="a worker joins, another is terminated (SIGTERM)", sent=count)


@contextmanager
def airflow_that_never_answers() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("count", [150, pytest.param(1500, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])])
def test_a_slow_lake_and_an_unresponsive_airflow_do_not_fill_the_memory(
    count: int, pipeline: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    """Incompressible messages of 0.9 MB; the lake needs a second per commit, so that the broker is far ahead."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": pipeline.kafka_bootstrap, "message.max.bytes": 1_000_000})
    for number in range(count):
        producer.produce(TOPIC, random.Random(number).randbytes(900_000), f"k{number}")
        producer.poll(0)
        if number % 50 == 49:
            producer.flush(60)
    assert producer.flush(60) == 0
    with airflow_that_never_answers() as url:
        settings = pipeline.model_copy(update={"airflow_url": url, "airflow_landing_password": SecretStr("x")})
        worker = start_worker(settings, arm=f"{IMPORTS}\nslow(LandingTable, '_try_commit', 1.0)\nbatches_of(30_000)")
        process, peak = psutil.Process(worker.pid), 0
        while landed_rows(pipeline) < count:
            peak = max(peak, process.memory_info().rss)
            assert worker.is_running(), worker.text()
            time.sleep(0.05)
        assert worker.end() == 0
    print(f"\npeak {peak / 1e6:.0f} MB while {count * 0.9:.0f} MB waited")
    assert peak < 800e6
    prove(pipeline, fault=f"slow lake, Airflow unresponsive, {count * 0.9:.0f} MB waiting", sent=count)


def test_the_same_events_sent_three_times(pipeline: Settings, producer: EventProducer, check_in: Events) -> None:
    events = [check_in(number) for number in range(500)]
    for _ in range(3):
        for event in events:
            producer.send(event)
        producer.flush()
    land(pipeline, threading.Event(), drain=True)
    load(pipeline)
    account = verified(pipeline)["topics"][TOPIC]
    assert (account["loaded"], account["distinct_events"], account["duplicates"]) == (1500, 500, 1000)
    prove(pipeline, fault="the same events sent 3 times", sent=1500, distinct=500)


def test_a_producer_whose_clock_jumps_a_day_forward_and_back(pipeline: Settings, producer: EventProducer) -> None:
    """An event from the future is rejected and stored verbatim; one from the past lands on its own day."""
    now = datetime.now(UTC)
    clocks = {"right": timedelta(0), "a day ahead": timedelta(days=1), "a day behind": timedelta(days=-1)}
    for number in range(300):
        jump = list(clocks.values())[number // 10 % 3]
        data = CheckInRecorded(check_in_id=f"c{number}", key_result_id=f"k{number % 20}", value=1.0)
        producer.send(encode(data, at=now + jump - timedelta(seconds=number), source="test"))
    producer.flush()
    land(pipeline, threading.Event(), drain=True)
    load(pipeline)
    rows = pl.scan_delta(open_table(table_uri(pipeline.lake_uri, TOPIC)))
    reasons = rows.group_by("rejection_reason").len().collect()
    assert dict(reasons.iter_rows()) == {None: 200, "time_in_future": 100}
    assert (
        rows.filter(pl.col("rejection_reason").is_not_null(), pl.col("rejected_value").is_null()).collect().is_empty()
    )
    days = set(rows.filter(pl.col("rejection_reason").is_null()).collect()["event_date"])
    assert days >= {(now - timedelta(minutes=5)).date(), (now - timedelta(days=1, minutes=5)).date()}
    prove(pipeline, fault="a producer's clock jumps a day forward and back", sent=300)


@pytest.mark.chaos
def test_a_worker_whose_clock_jumps_a_day_forward_and_back(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    jumping = """
import itertools, time
right, jumps = time.time, itertools.cycle([0, 86_400, -86_400])
time.time = lambda: right() + next(jumps)
time.time_ns = lambda: int(time.time() * 1e9)
"""
    send(producer, check_in, range(1000))
    worker = start_worker(pipeline, "consume", "land", "--drain", arm=jumping)
    assert worker.ended() == 0, worker.text()
    load(pipeline)
    prove(pipeline, fault="a worker's clock jumps a day forward and back", sent=1000)


def test_a_new_lake_is_filled_from_the_earliest_offset(
    pipeline: Settings, producer: EventProducer, check_in: Events, tmp_path: Path
) -> None:
    """The offsets that the group has committed to Kafka do not matter: an empty lake has landed nothing."""
    send(producer, check_in, range(1000))
    assert land(pipeline, threading.Event(), drain=True) == 1000
    new = pipeline.model_copy(update={"lake_uri": str(tmp_path / "new lake")})
    assert land(new, threading.Event(), drain=True) == 1000
    prove(new, fault="backfill from the earliest offset into a new lake", sent=1000)


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])])
def test_a_broker_is_killed_and_restarted_while_workers_land(
    kills: int, pipeline: Settings, check_in: Events, start_worker: StartWorker, tmp_path: Path
) -> None:
    with OwnBroker(tmp_path / "broker") as broker:
        settings = broker.at(pipeline, tmp_path / "lake")
        workers: list[Worker] = [start_worker(settings) for _ in range(2)]
        sent = 0
        for _ in range(kills):
            with EventProducer(KafkaConnection.of(settings)) as producer:
                send(producer, check_in, range(sent, sent + 3000))
            sent += 3000
            until_landed(settings, sent - 2900)  # landing is in progress
            broker.kill()
            broker.start()
        until_landed(settings, sent)
        assert [worker.end() for worker in workers] == [0, 0]
        times = "once" if kills == 1 else f"{kills} times"
        prove(settings, fault=f"the broker killed and restarted {times} while two workers land", sent=sent)
