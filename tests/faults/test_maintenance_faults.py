"""Maintenance concurrent with landing and itself: reproduce the faults of others, then test our maintenance."""

import time
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from ingestion.delta.log import DeltaLog
from ingestion.loading import load
from ingestion.maintenance import maintain
from ingestion.maintenance.report import TableMaintenance
from ingestion.producer import EventProducer
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.faults.conftest import StartWorker
from tests.faults.lake import TOPIC, Events, age, committed, data_files, drain, landed_rows, send, uri
from tests.faults.proof import prove
from tests.polling import until

IMPORTS = """
import deltalake
from ingestion.landing import commit
from ingestion.landing.commit import LandingTable
from ingestion.maintenance import compaction, log_cleanup, run
"""


def maintained(settings: Settings) -> TableMaintenance:
    return next(each for each in maintain(settings) or [] if each.topic == TOPIC)


def test_a_vacuum_runs_between_writing_and_committing_files(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker, tmp_path: Path
) -> None:
    there = str(tmp_path / "theirs")
    write_deltalake(there, pa.table({"n": [1]}))
    (in_flight := Path(there) / "part-in-flight.parquet").write_bytes(b"rows")
    age({in_flight}, 1)
    DeltaTable(there).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)
    assert not in_flight.exists(), "a vacuum without a retention deletes files that an append is about to commit"

    send(producer, check_in, range(300))
    worker = start_worker(pipeline, arm=f"{IMPORTS}\nafter(commit, 'write_files', freeze, times=2)")
    worker.until_frozen()
    written = data_files(pipeline)
    age(written, 1.5)  # as if the vacuum's clock were a day and a half ahead, or the worker had hung that long
    done = maintained(pipeline)
    assert (done.deleted_files, data_files(pipeline) >= written) == (0, True)
    worker.thaw()
    worker.wait_until(lambda: landed_rows(pipeline) == 300, "every row is landed")
    assert worker.end() == 0
    prove(
        pipeline,
        fault="a vacuum between an append's files and its commit",
        thread="delta-rs #3645",
        happened="the vacuum deleted the files, and the commit then referenced them",
        sent=300,
    )


def test_a_worker_that_hung_longer_than_the_retention_commits_no_deleted_file(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    send(producer, check_in, range(300))
    drain(pipeline)
    send(producer, check_in, range(300, 600))
    arm = f"{IMPORTS}\ncommit.LONGEST_TRANSACTION_SECONDS = 1.0\nafter(LandingTable, '_flush', freeze)"
    before = data_files(pipeline)
    worker = start_worker(pipeline, arm=arm)
    worker.until_frozen()
    started = time.monotonic()
    orphans = data_files(pipeline) - before
    age(orphans, 8)
    done = maintained(pipeline)
    assert done.deleted_files == len(orphans) > 0
    until(lambda: time.monotonic() - started > 1.1, "the transaction is too old", pause=0.05)
    worker.thaw()
    worker.wait_until(lambda: landed_rows(pipeline) == 600, "every row is landed")
    assert "so old that maintenance may have deleted them" in worker.text()
    assert worker.end() == 0
    prove(pipeline, fault="a worker hangs for longer than the retention period, and its files are vacuumed", sent=600)


def test_a_maintenance_run_that_hung_until_another_did_its_work_wakes_up(
    pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker, tmp_path: Path
) -> None:
    there = str(tmp_path / "theirs")
    for number in range(3):
        write_deltalake(there, pa.table({"n": [number]}), mode="append")
    two = [DeltaTable(there), DeltaTable(there)]
    for each in two:
        each.optimize.compact()
    assert DeltaTable(there).count() == 6, "delta-rs accepts two compactions of the same files, each with all rows"

    send(producer, check_in, range(300))
    drain(pipeline, rows=30)
    zombie = start_worker(pipeline, "lake", "maintain", arm=f"{IMPORTS}\nafter(compaction, 'write_files', freeze)")
    zombie.until_frozen()
    with connect(pipeline.require("dsn_loader"), autocommit=True) as connection:  # the lock belongs to the connection
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'okr-maintenance'"
        )
    until(lambda: maintain(pipeline), "another maintenance run gets the lock")
    zombie.thaw()
    assert zombie.ended() == 0, zombie.text()
    assert "the compaction was discarded; nothing was changed" in zombie.text()
    prove(
        pipeline,
        fault="a maintenance run hangs and loses its lock, another one runs, then the first one resumes",
        thread="delta-rs PR 3982",
        happened="files that are only moved no longer conflict: two compactions each left a copy of the rows",
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
    for version in log.checkpoints():  # as if the crash had happened between the commit and the checkpoint
        log.checkpoint(version).unlink()
    log.last_checkpoint().unlink()
    drain(pipeline, rows=1000)
    assert maintain(pipeline)
    assert log.checkpoints()[-1] == DeltaTable(uri(pipeline)).version()
    prove(
        pipeline,
        fault="killed between a commit and its checkpoint",
        thread="kafka-delta-ingest #184",
        happened="the checkpoint was skipped after the restart, and the Delta log grew",
        sent=1000,
    )


def test_offsets_survive_all_maintenance_steps(
    pipeline: Settings, producer: EventProducer, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.maintenance.log_cleanup.KEPT_COMMITS", 5)
    send(producer, check_in, range(500))
    drain(pipeline, rows=30)
    load(pipeline)
    offsets = committed(pipeline)
    for _ in range(3):
        age(data_files(pipeline) | set(Path(uri(pipeline), "_delta_log").iterdir()), 30)
        Path(pipeline.lake_uri, "_maintenance.json").unlink(missing_ok=True)  # so that each run vacuums
        assert maintain(pipeline)
        assert committed(pipeline) == offsets
    send(producer, check_in, range(500, 700))
    assert drain(pipeline, rows=30) == 200
    load(pipeline)
    prove(
        pipeline,
        fault="compaction, checkpoint, log cleanup and vacuum, three times",
        thread="Iceberg #12549",
        happened="an offset was missing after a compaction",
        sent=700,
    )


MAINTENANCE_KILLED_AT = {
    "before its first compaction": "before(compaction, '_compact_range', die)",
    "with the new file written": "after(compaction, 'write_files', die)",
    "while a compaction is committed": "before(compaction, 'commit', lambda: die_soon(0.02))",
    "after a compaction": "after(compaction, 'commit', die)",
    "before the vacuum": "before(run, '_vacuum', die)",
    "before the checkpoint": "before(log_cleanup, 'clean_up_log', die); before(run, 'clean_up_log', die)",
    "after the checkpoint, before the log cleanup": "before(log_cleanup, '_read_back', die)",
    "in the middle of the log cleanup": "before(log_cleanup, '_remove_old_versions', die)",
}


SHORT = ("while a compaction is committed", "after the checkpoint, before the log cleanup")


@pytest.mark.parametrize(
    "step", [pytest.param(each, marks=() if each in SHORT else pytest.mark.chaos) for each in MAINTENANCE_KILLED_AT]
)
def test_maintenance_is_killed(
    step: str, pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    send(producer, check_in, range(200))
    drain(pipeline, rows=20)
    offsets = committed(pipeline)
    assert start_worker(pipeline, "lake", "maintain", arm=f"{IMPORTS}\n{MAINTENANCE_KILLED_AT[step]}").ended() == -9
    assert committed(pipeline) == offsets
    send(producer, check_in, range(200, 300))
    drain(pipeline)
    assert maintain(pipeline)
    prove(pipeline, fault=f"maintenance killed {step}", sent=300)
