"""Repeated, concurrent and failed commits to the lake: reproduce the data loss of others, then test our commits."""

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from ingestion.batch import Span
from ingestion.consumer_groups import LANDING_GROUP
from ingestion.landing.commit import FencedError, LandingTable
from ingestion.producer import EventProducer
from lakehouse.lake import open_table
from lakehouse.settings import Settings
from tests.faults.conftest import StartWorker
from tests.faults.lake import TOPIC, Events, committed, data_files, drain, landed_rows, send, uri
from tests.faults.proof import prove
from tests.polling import until

IMPORTS = """
import deltalake
from ingestion.landing import commit
from ingestion.landing.commit import LandingTable
from ingestion.maintenance import compaction, log_cleanup, run
"""


def test_the_same_transaction_is_committed_twice(
    pipeline: Settings, producer: EventProducer, check_in: Events, tmp_path: Path
) -> None:
    there, row = str(tmp_path / "theirs"), pa.table({"n": [1]})
    for _ in range(2):
        transaction = CommitProperties(app_transactions=[Transaction("app", 1)])
        write_deltalake(there, row, mode="append", commit_properties=transaction)
    assert DeltaTable(there).count() == 2, "delta-rs accepts the same transaction twice, as reported"

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
        happened="the same transaction id and version was committed twice, and its rows were duplicated",
        sent=300,
    )


ERRORS = {
    "after the commit succeeded": (
        "delta-rs #2609",
        "an error was returned although the write had succeeded; the retry duplicated it",
    ),
    "before the commit": ("", ""),
}


@pytest.mark.parametrize("when", ERRORS)
def test_a_commit_returns_an_error(
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


def test_the_log_cannot_be_read_for_a_while(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    send(producer, check_in, range(200))
    worker = start_worker(pipeline)
    worker.wait_until(lambda: landed_rows(pipeline) == 200, "the first rows are landed")
    folder = Path(uri(pipeline)) / "_delta_log"
    hidden = folder.with_name("_away")
    folder.rename(hidden)
    folder.touch()  # a file in place of the log folder makes the log unreadable
    send(producer, check_in, range(200, 500))
    worker.wait_until(lambda: "cannot be read" in worker.text(), "the worker reports the error")
    folder.unlink()
    hidden.rename(folder)
    worker.wait_until(lambda: landed_rows(pipeline) == 500, "every row is landed")
    assert worker.end() == 0
    prove(
        pipeline,
        fault="the table's log is unavailable for a while",
        thread="Iceberg #13752",
        happened="after an error of the catalogue, messages were dropped",
        sent=500,
    )


def test_two_workers_write_the_same_batch_at_the_same_time(
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
    assert of_the_second, "the workers' files have different names"
    first.thaw()
    second.thaw()
    until(lambda: landed_rows(pipeline) == 150, "every row is landed")
    until(lambda: "a commit returned an error" in first.text() + second.text(), "one of them was second")
    assert [first.end(), second.end()] == [0, 0]
    prove(
        pipeline,
        fault="two workers write the same offsets at the same time",
        thread="S3 sink #253",
        happened="two tasks wrote the same object, and the second overwrote the first one's data",
        sent=150,
    )
