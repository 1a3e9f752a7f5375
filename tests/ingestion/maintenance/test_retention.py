"""Maintenance deletes files and log entries only after the retention, and never what a reader or writer may need."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from deltalake import DeltaTable

from ingestion.batch import Span
from ingestion.delta.log import DeltaLog
from ingestion.maintenance import log_cleanup, run
from lakehouse.lake import open_table
from lakehouse.settings import Settings
from tests.ingestion.maintenance.filled_lake import (
    DAY_SECONDS,
    TODAY,
    age,
    batch,
    fill,
    kept,
    next_offsets,
    places,
    uri,
)


def test_an_older_version_can_be_read_until_the_retention_is_over(lake: Settings) -> None:
    fill(lake, 12)
    kept(lake)
    for file in Path(uri(lake)).glob("event_date=*/*.parquet"):
        age(file, 30)  # the rows are old, but their replacement is new
    (Path(lake.lake_uri) / "_maintenance.json").unlink()  # so that the next run vacuums again
    fill(lake, 2)
    assert kept(lake).deleted_files == 0
    table = open_table(uri(lake))
    for version in (1, 7, 12):
        table.load_as_version(version)
        assert pl.scan_delta(table).collect().height == 10 * version


def test_replaced_files_are_deleted_after_the_retention(lake: Settings) -> None:
    fill(lake, 12)
    kept(lake)
    before = places(lake)
    log = DeltaLog(uri(lake))
    merged = next(path for path in map(log.commit, log.commits()) if '"remove"' in path.read_text())
    lines = [json.loads(line) for line in merged.read_text().splitlines()]
    for line in lines:  # as if it had been compacted eight days ago
        line.get("remove", {})["deletionTimestamp"] = int((time.time() - 8 * DAY_SECONDS) * 1000)
    merged.write_text("\n".join(map(json.dumps, lines)))
    log.checkpoint(log.checkpoints()[-1]).unlink()
    log.last_checkpoint().unlink()
    for file in Path(uri(lake)).glob("event_date=*/*.parquet"):
        age(file, 8)
    (Path(lake.lake_uri) / "_maintenance.json").unlink()
    assert kept(lake).deleted_files == 12
    assert places(lake) == before
    assert len(list(Path(uri(lake)).glob("event_date=*/*.parquet"))) == 1


def test_files_of_a_killed_worker_are_deleted_only_when_no_transaction_can_be_that_old(lake: Settings) -> None:
    fill(lake, 2)
    folder = Path(uri(lake)) / f"event_date={TODAY}"
    young, old = folder / "part-young.zstd.parquet", folder / "part-old.zstd.parquet"
    for orphan, days in ((young, 6.9), (old, 7.1)):
        orphan.write_bytes(b"half")
        age(orphan, days)
    assert kept(lake).deleted_files == 1
    assert (young.exists(), old.exists()) == (True, False)


@pytest.mark.parametrize("jump_days", [8, -1])
def test_a_clock_that_jumped_deletes_nothing(jump_days: int, lake: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(lake, 3)
    orphan = Path(uri(lake)) / "part-orphan.zstd.parquet"
    orphan.write_bytes(b"half")
    age(orphan, 20)
    with monkeypatch.context() as jumped:
        clock = SimpleNamespace(time=lambda: time.time() + jump_days * DAY_SECONDS, monotonic=time.monotonic)
        jumped.setattr(run, "time", clock)
        done = kept(lake)
    assert (done.files_after, done.deleted_files, orphan.exists()) == (1, 0, True)
    assert kept(lake).deleted_files == 1


def test_the_log_stays_bounded_and_a_suspended_worker_continues(
    lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_cleanup, "KEPT_COMMITS", 20)
    asleep = fill(lake, 5)
    log = DeltaLog(uri(lake))
    anchors = []
    for _ in range(6):
        fill(lake, 15)
        anchors.append(kept(lake).version_after)
    assert len(log.commits()) < 40
    assert [version for version in log.checkpoints() if version < log.commits()[0]], (
        "checkpoints for time travel are kept"
    )
    for version in log.checkpoints():
        assert DeltaTable(uri(lake), version=version).version() == version
    asleep.refresh()
    start = asleep.next_offset(0)
    assert start == 95 * 10
    asleep.append(batch(0, start, 10), {0: Span(start, start + 10)})
    assert places(lake) == [(0, offset) for offset in range(960)]


def test_old_log_files_are_deleted_after_the_retention_but_never_the_newest_checkpoint(lake: Settings) -> None:
    fill(lake, 10)
    kept(lake)
    log = DeltaLog(uri(lake))
    assert log.folder is not None
    for file in log.folder.iterdir():
        age(file, 30)
    fill(lake, 1)
    version = kept(lake).version_after
    assert log.commits()[0] >= 11
    assert version in log.checkpoints()
    assert next_offsets(lake, 1) == [110]
    assert len(places(lake)) == 110


def test_no_writer_cleans_up_the_log(lake: Settings) -> None:
    fill(lake, 2)
    kept(lake)
    configuration = DeltaTable(uri(lake)).metadata().configuration
    assert configuration["delta.enableExpiredLogCleanup"] == "false"
    assert configuration["delta.deletedFileRetentionDuration"] == "interval 7 days"
    assert configuration["delta.dataSkippingStatsColumns"]
