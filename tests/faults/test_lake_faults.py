"""Races and errors of the lake's writers: what others lost or doubled data by, reproduced; then ours, to the proof."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from ingestion.batch import Limits, Span
from ingestion.decoding import decode_batch, sift
from ingestion.delta.log import DeltaLog
from ingestion.events import EncodedEvent
from ingestion.groups import LANDING_GROUP
from ingestion.landing.commit import FencedError, LandingTable
from ingestion.landing.consumer import land
from ingestion.loading import load
from ingestion.log_identity import log_ids
from ingestion.producer import EventProducer
from ingestion.upkeep import upkeep
from ingestion.upkeep.report import TableUpkeep
from lakehouse.errors import RetryableError
from lakehouse.lake import application_id, open_table, table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.faults.conftest import StartWorker
from tests.faults.lake import TOPIC, landed_rows
from tests.faults.proof import prove
from tests.faults.waiting import until
from tests.ingestion.crash import OKR, environment_of

Events = Callable[[int], EncodedEvent]
DAY_SECONDS = 86_400
IMPORTS = """
import deltalake
from ingestion.landing import commit
from ingestion.landing.commit import LandingTable
from ingestion.upkeep import merge, run, shorten
"""


def send(producer: EventProducer, check_in: Events, numbers: range) -> None:
    for number in numbers:
        producer.send(check_in(number))
    producer.flush()


def drain(settings: Settings, rows: int = 100) -> int:
    return land(settings, threading.Event(), limits=Limits(rows=rows, seconds=0.3), drain=True)


def uri(settings: Settings) -> str:
    return table_uri(settings.lake_uri, TOPIC)


def data_files(settings: Settings) -> set[Path]:
    return set(Path(uri(settings)).glob("event_date=*/*.parquet"))


def age(paths: set[Path], days: float) -> None:
    past = time.time() - days * DAY_SECONDS
    for path in paths:
        os.utime(path, (past, past))


def kept(settings: Settings) -> TableUpkeep:
    return next(each for each in upkeep(settings) or [] if each.topic == TOPIC)


def committed(settings: Settings) -> dict[int, int | None]:
    table = DeltaTable(uri(settings))
    cluster = table.metadata().description
    return {each: table.transaction_version(application_id(cluster, LANDING_GROUP, TOPIC, each)) for each in range(8)}


def test_the_same_transaction_is_committed_twice(
    pipeline: Settings, producer: EventProducer, check_in: Events, tmp_path: Path
) -> None:
    there, row = str(tmp_path / "theirs"), pa.table({"n": [1]})
    for _ in range(2):
        transaction = CommitProperties(app_transactions=[Transaction("app", 1)])
        write_deltalake(there, row, mode="append", commit_properties=transaction)
    assert DeltaTable(there).count() == 2, "delta-rs takes the same transaction twice, as its thread says"

    send(producer, check_in, range(300))
    drain(pipeline, rows=1000)
    offsets = committed(pipeline)
    rows = pl.scan_delta(open_table(uri(pipeline))).collect().to_arrow()
    log = str(DeltaTable(uri(pipeline)).metadata().description)
    for partition, next_offset in offsets.items():
        if next_offset is not None:
            again = rows.filter(pa.compute.equal(rows["kafka_partition"], partition))
            first = pa.compute.min(again["kafka_offset"]).as_py()
            with pytest.raises(FencedError):
                LandingTable(pipeline.lake_uri, TOPIC, log, LANDING_GROUP).append(
                    again, {partition: Span(first, next_offset)}
                )
    prove(
        pipeline,
        fault="the same batch is committed again",
        thread="delta-rs #2580",
        happened="the same transaction id and version was committed twice, and its rows were there twice",
        sent=300,
    )


ERRORS = {
    "after the commit landed": (
        "delta-rs #2609",
        "an error came back although the write had landed; the retry doubled it",
    ),
    "before the commit landed": ("", ""),
}


@pytest.mark.parametrize("when", ERRORS)
def test_a_commit_ends_in_an_error(
    when: str, pipeline: Settings, producer: EventProducer, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deltalake.exceptions import CommitFailedError

    real, calls = DeltaTable.create_write_transaction, []

    def failing(table: DeltaTable, *arguments: Any, **named: Any) -> None:
        calls.append(1)
        if len(calls) % 3 and when.startswith("after"):
            real(table, *arguments, **named)
        if len(calls) % 3:
            raise CommitFailedError("the connection was reset")
        real(table, *arguments, **named)

    monkeypatch.setattr(DeltaTable, "create_write_transaction", failing)
    send(producer, check_in, range(400))
    assert drain(pipeline, rows=60) == 400
    assert len(calls) > 6
    thread, happened = ERRORS[when]
    prove(pipeline, fault=f"an error {when}", thread=thread, happened=happened, sent=400)


def test_a_vacuum_runs_while_an_append_has_written_its_files(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker, tmp_path: Path
) -> None:
    there = str(tmp_path / "theirs")
    write_deltalake(there, pa.table({"n": [1]}))
    (in_flight := Path(there) / "part-in-flight.parquet").write_bytes(b"rows")
    age({in_flight}, 1)
    DeltaTable(there).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)
    assert not in_flight.exists(), "a vacuum without a retention deletes what an append is about to commit"

    send(producer, check_in, range(300))
    worker = start_worker(pipeline, arm=f"{IMPORTS}\nafter(commit, 'write_files', freeze, times=2)")
    worker.until_frozen()
    written = data_files(pipeline)
    age(written, 1.5)  # the vacuum's clock is a day and a half ahead, or the worker hung as long
    done = kept(pipeline)
    assert (done.deleted_files, data_files(pipeline) >= written) == (0, True)
    worker.thaw()
    worker.wait_until(lambda: landed_rows(pipeline) == 300, "every row is landed")
    assert worker.end() == 0
    prove(
        pipeline,
        fault="a vacuum between an append's files and its commit",
        thread="delta-rs #3645",
        happened="the vacuum deleted the files, the commit then named files that were gone",
        sent=300,
    )


def test_a_worker_that_hung_longer_than_the_retention_commits_nothing_that_was_deleted(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    send(producer, check_in, range(300))
    drain(pipeline)
    send(producer, check_in, range(300, 600))
    arm = f"{IMPORTS}\ncommit.LONGEST_TRANSACTION_SECONDS = 1.0\nafter(LandingTable, '_flush', freeze)"
    before = data_files(pipeline)
    worker = start_worker(pipeline, arm=arm)
    worker.until_frozen()
    begun = time.monotonic()
    orphans = data_files(pipeline) - before
    age(orphans, 8)
    done = kept(pipeline)
    assert done.deleted_files == len(orphans) > 0
    until(lambda: time.monotonic() - begun > 1.1, "the transaction is too old", pause=0.05)
    worker.thaw()
    worker.wait_until(lambda: landed_rows(pipeline) == 600, "every row is landed")
    assert "so old that upkeep may have deleted them" in worker.text()
    assert worker.end() == 0
    prove(pipeline, fault="a worker hangs longer than the retention, its files are vacuumed", sent=600)


@contextmanager
def repeating(work: Callable[[], object]) -> Iterator[list[object]]:
    """Do something again and again beside the block, at least twice; yield its results."""
    stop, results = threading.Event(), []

    def loop() -> None:
        while not stop.is_set() or len(results) < 2:
            results.append(work())

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(loop)
        try:
            yield results
        finally:
            stop.set()
        running.result(120)


def test_checkpoints_and_upkeeps_race(
    pipeline: Settings, producer: EventProducer, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the lock were lost: three write checkpoints and two upkeeps run while events land."""
    monkeypatch.setattr("ingestion.upkeep.run.read_sql", lambda *_: "SELECT true, extract(epoch FROM now())::float8")
    send(producer, check_in, range(100))
    drain(pipeline)

    def checkpoint() -> None:
        DeltaTable(uri(pipeline)).create_checkpoint()

    def keep() -> bool:
        try:
            return bool(upkeep(pipeline))
        except RetryableError:  # it lost against the other one, which without the lock it may
            return False

    with (
        repeating(checkpoint), repeating(checkpoint), repeating(checkpoint), repeating(keep), repeating(keep) as runs,
    ):  # fmt: skip
        send(producer, check_in, range(100, 1000))
        drain(pipeline, rows=40)
    assert any(runs)
    upkeep(pipeline)
    assert DeltaLog(uri(pipeline)).checkpoints()[-1] == DeltaTable(uri(pipeline)).version()
    prove(
        pipeline,
        fault="three checkpoints and two upkeeps at once",
        thread="delta-rs #4433",
        happened="two writers of one checkpoint left a corrupt one, and the table could not be read",
        sent=1000,
    )


def test_an_upkeep_that_hung_until_another_did_its_work_wakes_up(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker, tmp_path: Path
) -> None:
    there = str(tmp_path / "theirs")
    for number in range(3):
        write_deltalake(there, pa.table({"n": [number]}), mode="append")
    two = [DeltaTable(there), DeltaTable(there)]
    for each in two:
        each.optimize.compact()
    assert DeltaTable(there).count() == 6, "delta-rs lets two compactions of the same files in, each with all rows"

    send(producer, check_in, range(300))
    drain(pipeline, rows=30)
    zombie = start_worker(pipeline, "lake", "upkeep", arm=f"{IMPORTS}\nafter(merge, 'write_files', freeze)")
    zombie.until_frozen()
    with connect(pipeline.require("dsn_loader"), autocommit=True) as connection:  # the lock goes with the connection
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'okr-upkeep'"
        )
    until(lambda: upkeep(pipeline), "another upkeep gets the lock")
    zombie.thaw()
    assert zombie.ended() == 0, zombie.text()
    assert "a merge lost against another" in zombie.text()
    prove(
        pipeline,
        fault="an upkeep hangs, loses its lock, another one works, it wakes up",
        thread="delta-rs PR 3982",
        happened="files that are only moved are no conflict any more: two compactions each left a copy of the rows",
        sent=300,
    )


def test_a_worker_is_killed_before_its_checkpoint(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    send(producer, check_in, range(100))
    drain(pipeline, rows=20)
    DeltaTable(uri(pipeline)).alter.set_table_properties({"delta.checkpointInterval": "5"})
    send(producer, check_in, range(100, 1000))
    log = DeltaLog(uri(pipeline))
    worker = start_worker(pipeline, arm=f"{IMPORTS}\nbatches_of(20)\nafter(LandingTable, '_try_commit', die, times=8)")
    assert worker.ended() == -9
    for version in log.checkpoints():  # what the crash had left, had it come between the commit and the checkpoint
        log.checkpoint(version).unlink()
    log.last_checkpoint().unlink()
    drain(pipeline, rows=1000)
    assert upkeep(pipeline)
    assert log.checkpoints()[-1] == DeltaTable(uri(pipeline)).version()
    prove(
        pipeline,
        fault="killed between a commit and its checkpoint",
        thread="kafka-delta-ingest #184",
        happened="the checkpoint was skipped after the restart, and the log grew",
        sent=1000,
    )


def test_offsets_survive_everything_that_upkeep_does(
    pipeline: Settings, producer: EventProducer, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.upkeep.shorten.KEPT_COMMITS", 5)
    send(producer, check_in, range(500))
    drain(pipeline, rows=30)
    load(pipeline)
    offsets = committed(pipeline)
    for _ in range(3):
        age(data_files(pipeline) | set(Path(uri(pipeline), "_delta_log").iterdir()), 30)
        Path(pipeline.lake_uri, "_upkeep.json").unlink(missing_ok=True)  # so that each run vacuums
        assert upkeep(pipeline)
        assert committed(pipeline) == offsets
    send(producer, check_in, range(500, 700))
    assert drain(pipeline, rows=30) == 200
    load(pipeline)
    prove(
        pipeline,
        fault="merge, checkpoint, log clean-up, vacuum, three times",
        thread="Iceberg #12549",
        happened="an offset was missing after a compaction",
        sent=700,
    )


def test_the_log_cannot_be_read_for_a_while(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    send(producer, check_in, range(200))
    worker = start_worker(pipeline)
    worker.wait_until(lambda: landed_rows(pipeline) == 200, "the first rows are landed")
    folder = Path(uri(pipeline)) / "_delta_log"
    hidden = folder.with_name("_away")
    folder.rename(hidden)
    folder.touch()  # what is there cannot be read as a log
    send(producer, check_in, range(200, 500))
    worker.wait_until(lambda: "cannot be read" in worker.text(), "the worker says what is wrong")
    folder.unlink()
    hidden.rename(folder)
    worker.wait_until(lambda: landed_rows(pipeline) == 500, "every row is landed")
    assert worker.end() == 0
    prove(
        pipeline,
        fault="the table's log is away for a while",
        thread="Iceberg #13752",
        happened="after an error of the catalogue, messages were dropped",
        sent=500,
    )


def test_two_workers_write_the_same_batch_at_once(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    send(producer, check_in, range(150))
    hang = f"{IMPORTS}\nafter(commit, 'write_files', freeze)"
    first = start_worker(pipeline, arm=hang)
    first.until_frozen()
    of_the_first = data_files(pipeline)
    second = start_worker(pipeline, arm=hang)
    second.until_frozen()
    of_the_second = data_files(pipeline) - of_the_first
    assert of_the_first
    assert of_the_second, "no file of one has the name of the other's"
    first.thaw()
    second.thaw()
    until(lambda: landed_rows(pipeline) == 150, "every row is landed")
    until(lambda: "a commit failed, the table decides" in first.text() + second.text(), "one of them lost")
    assert [first.end(), second.end()] == [0, 0]
    prove(
        pipeline,
        fault="two workers write the same offsets at once",
        thread="S3 sink #253",
        happened="two tasks wrote one object, and the second destroyed the first's",
        sent=150,
    )


UPKEEP_KILLED_AT = {
    "before its first merge": "before(merge, '_join', die)",
    "with the new file written": "after(merge, 'write_files', die)",
    "while a merge is committed": "before(merge, '_commit', lambda: die_soon(0.02))",
    "after a merge": "after(merge, '_commit', die)",
    "before the vacuum": "before(run, '_vacuum', die)",
    "before the checkpoint": "before(shorten, 'shorten', die); before(run, 'shorten', die)",
    "after the checkpoint, before the log's clean-up": "before(shorten, '_read_back', die)",
    "in the middle of the log's clean-up": "before(shorten, '_thin', die)",
}


SHORT = ("while a merge is committed", "after the checkpoint, before the log's clean-up")


@pytest.mark.parametrize(
    "step", [pytest.param(each, marks=() if each in SHORT else pytest.mark.chaos) for each in UPKEEP_KILLED_AT]
)
def test_upkeep_is_killed(
    step: str, pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    send(producer, check_in, range(200))
    drain(pipeline, rows=20)
    offsets = committed(pipeline)
    assert start_worker(pipeline, "lake", "upkeep", arm=f"{IMPORTS}\n{UPKEEP_KILLED_AT[step]}").ended() == -9
    assert committed(pipeline) == offsets
    send(producer, check_in, range(200, 300))
    drain(pipeline)
    assert upkeep(pipeline)
    prove(pipeline, fault=f"upkeep killed {step}", sent=300)


@pytest.mark.parametrize(
    ("writers", "count"), [(8, 600), pytest.param(200, 6_000, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])]
)
def test_concurrent_appends_race_with_compaction(
    writers: int, count: int, pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    """Every writer tries to land the next events of any partition, all at once, while upkeep runs."""
    send(producer, check_in, range(count))
    messages, rows = read_all(pipeline, count), 5 if writers < 100 else 30
    log = log_id(pipeline)

    def write(number: int) -> int:
        table, fenced = LandingTable(pipeline.lake_uri, TOPIC, log, LANDING_GROUP), 0
        partitions = sorted(messages)
        turn = number
        while True:
            turn += 1
            partition = partitions[turn % len(partitions)]
            table.refresh()
            start = table.next_offset(partition)
            ahead = [each for each in messages[partition] if start is None or each.offset() >= start][:rows]
            if not ahead:
                if all((table.next_offset(each) or 0) > messages[each][-1].offset() for each in partitions):
                    return fenced
                continue
            try:
                table.append(
                    decode_batch(TOPIC, [sift(TOPIC, ahead)]), {partition: Span(start, ahead[-1].offset() + 1)}
                )
            except FencedError:
                fenced += 1

    LandingTable(pipeline.lake_uri, TOPIC, log, LANDING_GROUP)
    with repeating(lambda: upkeep(pipeline)) as runs, ThreadPoolExecutor(writers) as pool:
        fenced = sum(pool.map(write, range(writers)))
    assert fenced > 0
    print(f"\n{writers} writers, {fenced} fenced, {len(runs)} upkeeps")
    prove(pipeline, fault=f"{writers} concurrent writers race with compaction", sent=count)


def log_id(settings: Settings) -> str:
    from confluent_kafka.admin import AdminClient

    return log_ids(AdminClient({"bootstrap.servers": settings.kafka_bootstrap}), [TOPIC])[TOPIC]


def read_all(settings: Settings, count: int) -> dict[int, list[Any]]:
    """Read the topic's messages once, by partition."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "read-all"})
    partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, each, OFFSET_BEGINNING) for each in partitions])
    found: dict[int, list[Any]] = {}
    while sum(map(len, found.values())) < count:
        for message in consumer.consume(1000, timeout=5.0):
            found.setdefault(message.partition(), []).append(message)
    consumer.close()
    return found


@pytest.mark.chaos
def test_upkeep_by_two_hosts_at_once_is_done_by_one(
    pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    send(producer, check_in, range(200))
    drain(pipeline, rows=20)
    commands = [
        subprocess.Popen(
            [*OKR, "lake", "upkeep"], env=environment_of(pipeline), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(3)
    ]
    outputs = [command.communicate(timeout=120)[0].decode() for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0], outputs
    assert any(TOPIC in output for output in outputs)
    prove(pipeline, fault="three upkeeps are started at once", sent=200)
