"""Maintenance compacts, cleans up and deletes without changing rows, offsets or versions within the retention."""

import json
import os
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ingestion.batch import Span
from ingestion.delta.log import DeltaLog
from ingestion.lake_status import as_lines, lake_status
from ingestion.landing.commit import LandingTable
from ingestion.maintenance import compaction, log_cleanup, maintain
from ingestion.maintenance.report import TableMaintenance, read_last
from lakehouse.errors import RetryableError
from lakehouse.lake import application_id, landing_schema, open_table, table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql
from tests.ingestion.crash import OKR, environment_of

TOPIC = "okr_user_events"
TODAY = datetime.now(UTC).date()
DAY_SECONDS = 86_400


@pytest.fixture
def lake(fresh_database: Settings, tmp_path: Path) -> Settings:
    """A database, and a lake without tables."""
    return fresh_database.model_copy(update={"lake_uri": str(tmp_path / "a lake [1]")})


def batch(partition: int, start: int, rows: int, day: date = TODAY) -> pa.Table:
    row = {"kafka_partition": partition, "logged_at": datetime.now(UTC), "event_date": day, "event_type": "okr.t.t.v1"}
    return pa.Table.from_pylist(
        [
            {name: row.get(name) for name in landing_schema().names}
            | {"kafka_offset": offset, "event_id": str(uuid.uuid4()), "data": f'{{"number":{offset}}}'}
            for offset in range(start, start + rows)
        ],
        landing_schema(),
    )


def fill(settings: Settings, files: int, *, rows: int = 10, days: int = 1, partitions: int = 1) -> LandingTable:
    """Land batches of one file each, for the days up to today and the partitions in turn."""
    table = LandingTable(settings.lake_uri, TOPIC, "cluster", "okr-landing")
    for number in range(files):
        partition = number % partitions
        table.refresh()
        start = table.next_offset(partition)
        day = TODAY - timedelta(days=number % days)
        table.append(batch(partition, start or 0, rows, day), {partition: Span(start, (start or 0) + rows)})
    return table


def uri(settings: Settings) -> str:
    return table_uri(settings.lake_uri, TOPIC)


def places(settings: Settings) -> list[tuple[int, int]]:
    rows = pl.scan_delta(open_table(uri(settings))).select("kafka_partition", "kafka_offset").collect()
    return sorted(rows.rows())


def next_offsets(settings: Settings, partitions: int) -> list[int | None]:
    table = DeltaTable(uri(settings))
    return [
        table.transaction_version(application_id("cluster", "okr-landing", TOPIC, number))
        for number in range(partitions)
    ]


def kept(settings: Settings) -> TableMaintenance:
    (table,) = maintain(settings) or []
    return table


def age(path: Path, days: float) -> None:
    past = time.time() - days * DAY_SECONDS
    os.utime(path, (past, past))


def test_many_small_files_become_one_file_per_day_and_nothing_else_changes(lake: Settings) -> None:
    fill(lake, 60, days=3, partitions=2)
    before, offsets = places(lake), next_offsets(lake, 2)
    done = kept(lake)
    assert (done.files_before, done.files_after, done.compacted_files) == (60, 3, 60)
    assert done.bytes_after < done.bytes_before
    assert places(lake) == before
    assert next_offsets(lake, 2) == offsets == [300, 300]


def test_compacted_files_have_statistics_compression_and_dictionaries(lake: Settings) -> None:
    fill(lake, 6, partitions=2)
    kept(lake)
    (action,) = DeltaTable(uri(lake)).get_add_actions(flatten=True).to_struct_array().to_pylist()
    bounds = {name: (action[f"min.{name}"], action[f"max.{name}"]) for name in ("kafka_partition", "kafka_offset")}
    assert bounds == {"kafka_partition": (0, 1), "kafka_offset": (0, 29)}
    assert action["num_records"] == 60
    (file,) = open_table(uri(lake)).file_uris()
    columns = [pq.read_metadata(file).row_group(0).column(number).to_dict() for number in range(7)]
    by_name = {column["path_in_schema"]: column for column in columns}
    assert {column["compression"] for column in columns} == {"ZSTD"}
    assert by_name["event_type"]["has_dictionary_page"]
    assert not by_name["event_id"]["has_dictionary_page"]


def test_a_second_run_has_nothing_to_do_and_creates_no_version(lake: Settings) -> None:
    fill(lake, 5)
    first = kept(lake)
    second = kept(lake)
    assert second.compacted_files == 0
    assert second.version_after == first.version_after
    assert read_last(lake.lake_uri)[TOPIC]["version_after"] == first.version_after


def test_medium_files_are_compacted_only_when_a_day_has_many(lake: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SMALL_BYTES", 100)  # so that every file is a medium one
    monkeypatch.setattr(compaction, "MIN_MEDIUM_FILES", 4)
    fill(lake, 3)
    assert kept(lake).files_after == 3
    fill(lake, 1)
    assert kept(lake).files_after == 1


def test_appends_concurrent_with_maintenance_lose_nothing_and_are_not_fenced(lake: Settings) -> None:
    fill(lake, 4, partitions=3)

    def trickle(partition: int) -> None:
        table = LandingTable(lake.lake_uri, TOPIC, "cluster", "okr-landing")
        for _ in range(30):
            table.refresh()
            start = table.next_offset(partition)
            table.append(batch(partition, start or 0, 5), {partition: Span(start, (start or 0) + 5)})

    with ThreadPoolExecutor() as pool:
        trickles = [pool.submit(trickle, partition) for partition in range(3)]
        runs = 0
        while not all(each.done() for each in trickles):
            kept(lake)
            runs += 1
        for each in trickles:
            each.result()
    assert runs > 1
    kept(lake)
    assert len(places(lake)) == len(set(places(lake))) == 4 * 10 + 3 * 30 * 5
    assert len(open_table(uri(lake)).file_uris()) == 1


def test_a_concurrent_maintenance_run_reports_the_other_and_succeeds(lake: Settings) -> None:
    fill(lake, 3)
    with connect(lake.require("dsn_loader"), autocommit=True) as other:
        assert other.execute(read_sql("ingestion.maintenance", "lock")).fetchone()[0]  # type: ignore[index]
        command = [*OKR, "lake", "maintain"]
        answer = subprocess.run(
            command, env=environment_of(lake), capture_output=True, text=True, timeout=120, check=False
        )
        assert (answer.returncode, "Another maintenance run is in progress" in answer.stdout) == (0, True), (
            answer.stderr
        )
        assert len(DeltaTable(uri(lake)).file_uris()) == 3
    answer = subprocess.run(
        [*command, "--json"], env=environment_of(lake), capture_output=True, text=True, timeout=120, check=True
    )
    assert [(each["topic"], each["files_after"]) for each in json.loads(answer.stdout)] == [(TOPIC, 1)]


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
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump_days * DAY_SECONDS)
    done = kept(lake)
    assert (done.files_after, done.deleted_files, orphan.exists()) == (1, 0, True)
    monkeypatch.setattr(time, "time", real)
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


def test_one_damaged_table_does_not_prevent_maintenance_of_the_others(lake: Settings) -> None:
    fill(lake, 3)
    damaged = Path(table_uri(lake.lake_uri, "okr_ai_predictions")) / "_delta_log"
    damaged.mkdir(parents=True)
    (damaged / f"{0:020}.json").write_text('{"torn')
    with pytest.raises(RetryableError, match=r"okr_ai_predictions failed .*docs/runbooks/lake-repair"):
        maintain(lake)
    assert len(DeltaTable(uri(lake)).file_uris()) == 1


def test_a_report_that_an_earlier_version_stored_is_still_read(lake: Settings) -> None:
    old = {TOPIC: {"topic": TOPIC, "begun_at_s": 7.0, "merged_files": 3, "vacuumed_at_s": 7.0}}
    folder = Path(lake.lake_uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_upkeep.json").write_text(json.dumps(old))
    read = read_last(lake.lake_uri)
    assert read == {TOPIC: {"topic": TOPIC, "started_at_s": 7.0, "compacted_files": 3, "vacuumed_at_s": 7.0}}


def test_status_shows_small_files_log_files_and_the_last_maintenance(lake: Settings) -> None:
    fill(lake, 3)
    before = lake_status(lake.lake_uri)
    kept(lake)
    after = lake_status(lake.lake_uri)
    assert [(each["files"], each["small_files"], each["rows"]) for each in before if each["version"]] == [(3, 3, 30)]
    assert [(each["files"], each["small_files"], each["rows"]) for each in after if each["version"]] == [(1, 1, 30)]
    assert "never" in as_lines(before).splitlines()[-1]
    line = next(line for line in as_lines(after).splitlines() if line.startswith(TOPIC))
    assert "3 -> 1 files in" in line
