"""Maintenance compacts, cleans up and deletes without changing rows, offsets or versions within the retention."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ingestion.batch import Span
from ingestion.lake_status import as_lines, lake_status
from ingestion.landing.commit import LandingTable
from ingestion.maintenance import compaction, maintain, run
from ingestion.maintenance.repair import repair
from ingestion.maintenance.report import read_last
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.lake import open_table, table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql
from tests.ingestion.crash import OKR, environment_of
from tests.ingestion.maintenance.filled_lake import (
    TOPIC,
    batch,
    fill,
    kept,
    next_offsets,
    places,
    uri,
)


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


def test_a_lake_in_an_object_store_is_vacuumed_at_intervals_too(lake: Settings) -> None:
    fill(lake, 5)
    in_store = lake.model_copy(update={"lake_uri": Path(lake.lake_uri).as_uri()})
    first, second = kept(in_store), kept(in_store)
    assert first.vacuumed_at_s is not None
    assert second.vacuumed_at_s == first.vacuumed_at_s, "the second run knows of the first"
    assert lake_status(in_store.lake_uri)[0]["maintenance"]["vacuumed_at_s"] == first.vacuumed_at_s


def test_repair_of_a_lake_in_an_object_store_is_refused(lake: Settings) -> None:
    fill(lake, 1)
    with pytest.raises(PermanentError, match="Expected a lake in a folder, found file://"):
        repair(lake.model_copy(update={"lake_uri": Path(lake.lake_uri).as_uri()}))


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


def test_one_damaged_table_does_not_prevent_maintenance_of_the_others(lake: Settings) -> None:
    fill(lake, 3)
    damaged = Path(table_uri(lake.lake_uri, "okr_ai_predictions")) / "_delta_log"
    damaged.mkdir(parents=True)
    (damaged / f"{0:020}.json").write_text('{"torn')
    with pytest.raises(RetryableError, match=r"okr_ai_predictions failed .*docs/runbooks/lake-repair"):
        maintain(lake)
    assert len(DeltaTable(uri(lake)).file_uris()) == 1


def test_a_table_whose_rows_cannot_be_pruned_is_reported_and_not_vacuumed_again(
    lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PRUNED_TOPIC", TOPIC)
    fill(lake, 3)
    with connect(lake.require("dsn_loader")) as connection:
        connection.execute(
            "INSERT INTO raw.load_watermark (topic, kafka_partition, next_offset, log_id) VALUES (%s, 0, 1, 'other')",
            [TOPIC],
        )
    reports = []
    for _ in range(2):
        with pytest.raises(PermanentError, match="Nothing was pruned"):
            maintain(lake)
        reports.append(read_last(lake.lake_uri)[TOPIC])
    assert reports[0]["compacted_files"] == 3
    assert reports[0]["vacuumed_at_s"] == reports[1]["vacuumed_at_s"] == reports[0]["started_at_s"]
    assert reports[1]["pruning_checked_at_s"] is None  # the next run tries again


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
