"""Versions of landing tables: which files they need, which one a time or an offset selects, how a table goes back."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from infra.backup import lake
from lakehouse.errors import InvariantBroken, PermanentError
from lakehouse.lake import application_id

TOPIC, LOG = "okr_user_events", "cluster/topic"


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A lake with four versions; version n has the offsets up to 10 * n."""
    table = str(tmp_path / TOPIC)
    DeltaTable.create(table, pa.schema([("event_date", pa.string()), ("n", pa.int64())]), partition_by="event_date",
                      description=LOG)  # fmt: skip
    for version in (1, 2, 3):
        _append(table, version)
    return str(tmp_path)


def _append(table: str, version: int) -> None:
    rows = pa.table({"event_date": [f"2026-11-0{version}"], "n": pa.array([version], pa.int64())})
    moved = Transaction(application_id(LOG, "okr-landing", TOPIC, 0), 10 * version)
    write_deltalake(table, rows, mode="append", commit_properties=CommitProperties(app_transactions=[moved]))


def _set_times(uri: str, *hours: int) -> None:
    """Let the commits have been made at these hours."""
    for version, hour in enumerate(hours):
        commit = Path(uri, TOPIC, "_delta_log", f"{version:020}.json")
        lines = [json.loads(line) for line in commit.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            if "commitInfo" in line:
                line["commitInfo"]["timestamp"] = int(_at(hour).timestamp() * 1000)
        commit.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


def _at(hour: int) -> datetime:
    return datetime(2026, 11, 29, hour, 30, tzinfo=UTC)


def test_a_version_has_its_offsets_and_its_log(uri: str) -> None:
    assert lake.current_versions(uri) == {TOPIC: lake.TableVersion(3, LOG, {0: 30})}
    assert lake.version_of(uri, TOPIC, 1).positions == {0: 10}


def test_what_lands_after_the_version_was_read_is_not_saved(uri: str) -> None:
    versions = lake.current_versions(uri)
    before = lake.files_of(uri, versions)
    _append(str(Path(uri, TOPIC)), 4)
    Path(uri, TOPIC, "event_date=2026-11-01", "of a batch in flight.parquet").touch()
    assert lake.files_of(uri, versions) == before
    assert len(before) == 4 + 3


def test_a_copy_of_the_listed_files_is_this_version_even_after_compaction_and_vacuum(uri: str, tmp_path: Path) -> None:
    versions = lake.current_versions(uri)
    copy = tmp_path / "copy"
    table = DeltaTable(str(Path(uri, TOPIC)))
    table.optimize.compact()
    files = lake.files_of(uri, versions)  # vacuum spares what was needed in the last days, so a late list is complete
    for path in files:
        target = copy / path.relative_to(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert lake.version_of(str(copy), TOPIC) == versions[TOPIC]
    assert sorted(DeltaTable(str(copy / TOPIC)).to_pyarrow_table()["n"].to_pylist()) == [1, 2, 3]


def test_a_time_selects_the_last_version_before_the_first_later_commit(uri: str) -> None:
    _set_times(uri, 1, 2, 3, 4)
    assert lake.version_at(uri, TOPIC, _at(3)) == 2
    assert lake.version_at(uri, TOPIC, _at(9)) == 3
    assert lake.version_at(uri, TOPIC, _at(0)) is None


def test_a_clock_that_was_set_back_selects_the_version_at_which_postgresql_stops_too(uri: str) -> None:
    _set_times(uri, 1, 5, 2, 3)
    assert lake.version_at(uri, TOPIC, _at(4)) == 0


def test_a_time_before_the_saved_log_is_refused(uri: str) -> None:
    _set_times(uri, 1, 2, 3, 4)
    DeltaTable(str(Path(uri, TOPIC))).create_checkpoint()
    for version in (0, 1):
        Path(uri, TOPIC, "_delta_log", f"{version:020}.json").unlink()
    with pytest.raises(PermanentError, match="begins with version 2, which is later than"):
        lake.version_at(uri, TOPIC, _at(1))


def test_the_lake_is_moved_forward_until_the_warehouse_is_not_ahead(uri: str) -> None:
    assert lake.first_version_with(uri, TOPIC, {0: 15}, 1, 3) == 2
    assert lake.first_version_with(uri, TOPIC, {}, 1, 3) == 1
    with pytest.raises(InvariantBroken, match=r"The warehouse needs the offsets \{0: 31\}"):
        lake.first_version_with(uri, TOPIC, {0: 31}, 1, 3)


def test_a_table_goes_back_and_takes_up_landing_there(uri: str) -> None:
    DeltaTable(str(Path(uri, TOPIC))).create_checkpoint()
    lake.truncate(uri, TOPIC, 2)
    assert lake.version_of(uri, TOPIC) == lake.TableVersion(2, LOG, {0: 20})
    assert len(list(Path(uri, TOPIC).glob("*/part*.parquet"))) == 2
    _append(str(Path(uri, TOPIC)), 3)
    assert sorted(DeltaTable(str(Path(uri, TOPIC))).to_pyarrow_table()["n"].to_pylist()) == [1, 2, 3]


def test_a_table_that_lacks_a_file_is_not_restored(uri: str) -> None:
    next(Path(uri, TOPIC).glob("event_date=2026-11-01/*.parquet")).unlink()
    with pytest.raises(PermanentError, match=r"The backup lacks event_date=2026-11-01/.* Expected \d+ bytes"):
        lake.truncate(uri, TOPIC, 3)


def test_a_lake_in_object_storage_is_left_to_its_own_versions() -> None:
    with pytest.raises(PermanentError, match="works only with a lake in a folder"):
        lake.require_folder("s3://bucket/lake")
