"""Rows are selected for a load by their offsets only, regardless of their files."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.batch import Span
from ingestion.landing.commit import LandingTable
from ingestion.loading.lake_files import BATCH_MEGABYTES, MAX_OFFSET, Extent, Wanted, files_of
from ingestion.loading.pending import Watermarks, find_pending
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.lake import EVENT_COLUMNS, landing_schema, table_uri

TOPIC = "okr_user_events"
PARTITIONS = 2
COLUMNS = (*EVENT_COLUMNS, "rejection_reason")
STARTED = datetime(2026, 4, 1, tzinfo=UTC)
Positions = set[tuple[int, int]]


def rows(start: int, end: int) -> pa.Table:
    """Return rows with the offsets from `start` to `end`, exclusive, of each partition, ten offsets per day."""

    def row(partition: int, offset: int) -> dict[str, Any]:
        at = STARTED + timedelta(days=offset // 10)
        return {
            "kafka_partition": partition, "kafka_offset": offset, "logged_at": at, "event_date": at.date(),
            "event_id": f"01978b1c-0000-7000-8000-{partition:04d}{offset:08d}", "event_type": "okr.page.viewed.v1",
            "source": "test", "subject": "u", "occurred_at": at, "recorded_at": at, "recorded_at_assumed": False,
            "data": "{}",
        }  # fmt: skip

    made = [row(partition, offset) for partition in range(PARTITIONS) for offset in range(start, end)]
    return pa.Table.from_pylist(made, landing_schema())


@pytest.fixture
def lake(tmp_path: Path) -> str:
    """Offsets 0-99 of two partitions in five batches of two days each, in a path with a space."""
    uri = str(tmp_path / "the lake")
    table = LandingTable(uri, TOPIC, "cluster", "okr-landing")
    for start in range(0, 100, 20):
        table.append(rows(start, start + 20), {each: Span(start or None, start + 20) for each in range(PARTITIONS)})
    return uri


def positions(lake: str, watermarks: dict[int, int], end_offsets: dict[int, int] | None = None) -> Positions:
    """Return the positions that `okr load` would read, each once."""
    waiting = find_pending(lake, TOPIC, Watermarks(watermarks), end_offsets)
    found = [
        position
        for batch in waiting.batches(COLUMNS)
        for position in zip(batch["kafka_partition"].to_pylist(), batch["kafka_offset"].to_pylist(), strict=True)
    ]
    assert len(found) == len(set(found))
    assert waiting.ends().offsets == watermarks | {
        number: max(offset for partition, offset in found if partition == number) + 1 for number, _ in found
    }
    return set(found)


def wanted_positions(watermarks: dict[int, int], end_offsets: dict[int, int] | None = None) -> Positions:
    return {
        (partition, offset)
        for partition in range(PARTITIONS)
        for offset in range(100)
        if offset >= watermarks.get(partition, 0) and (end_offsets is None or offset < end_offsets.get(partition, 0))
    }


def in_one_file(lake: str) -> None:
    """Rewrite all files to one, as compaction does for a day."""
    table = DeltaTable(table_uri(lake, TOPIC))
    there = table.to_pyarrow_table()
    one_day = there.set_column(3, landing_schema().field("event_date"), pa.array([date(2026, 4, 1)] * len(there)))
    write_deltalake(table, one_day, mode="overwrite")
    assert len(table.file_uris()) == 1


@pytest.mark.parametrize("watermarks", [{}, {0: 0, 1: 0}, {0: 35}, {0: 35, 1: 80}, {0: 100, 1: 99}, {0: 100, 1: 100}])
@pytest.mark.parametrize("end_offsets", [None, {}, {0: 60}, {0: 60, 1: 100}])
def test_wanted_rows_are_read_from_any_files(
    watermarks: dict[int, int], end_offsets: dict[int, int] | None, lake: str
) -> None:
    assert positions(lake, watermarks, end_offsets) == wanted_positions(watermarks, end_offsets)
    in_one_file(lake)
    assert positions(lake, watermarks, end_offsets) == wanted_positions(watermarks, end_offsets)


def test_the_wanted_rows_of_a_file_without_statistics_are_read(lake: str) -> None:
    table = DeltaTable(table_uri(lake, TOPIC))
    table.alter.set_table_properties({"delta.dataSkippingStatsColumns": "event_type"})
    in_one_file(lake)
    (action,) = pa.table(DeltaTable(table_uri(lake, TOPIC)).get_add_actions(flatten=True)).to_pylist()
    assert action.get("max.kafka_offset") is None
    assert positions(lake, {0: 35}, {0: 60, 1: 100}) == wanted_positions({0: 35}, {0: 60, 1: 100})
    path = Path(table_uri(lake, TOPIC), action["path"])
    pq.write_table(pq.read_table(path, partitioning=None), path, write_statistics=False)
    assert positions(lake, {0: 35}, {0: 60, 1: 100}) == wanted_positions({0: 35}, {0: 60, 1: 100})


def test_only_files_that_may_have_new_rows_are_opened(lake: str) -> None:
    uri = table_uri(lake, TOPIC)
    table = DeltaTable(uri)
    assert len(files_of(table, uri, Wanted({}))) == 10
    assert len(files_of(table, uri, Wanted({0: 85, 1: 85}))) == 2
    assert files_of(table, uri, Wanted({0: 100, 1: 100})) == []
    assert files_of(table, uri, Wanted({}, {})) == []


def test_a_file_without_statistics_may_include_any_offset() -> None:
    assert Extent().may_include(Wanted({0: MAX_OFFSET}, {}))
    assert not Extent(range(2), 5, 9).may_include(Wanted({0: 10, 1: 10}))
    assert Extent(range(2), 5, 9).may_include(Wanted({0: 10}))


def test_a_column_that_a_file_does_not_have_yet_is_null(lake: str) -> None:
    table = DeltaTable(table_uri(lake, TOPIC))
    path = Path(table_uri(lake, TOPIC)) / sorted(table.get_add_actions(flatten=True)["path"].to_pylist())[0]
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["extensions"]), path)
    batches = list(find_pending(lake, TOPIC, Watermarks({})).batches(COLUMNS))
    assert sum(batch.num_rows for batch in batches) == 200
    assert all(batch["extensions"].null_count == batch.num_rows for batch in batches)


def test_large_events_come_in_small_batches(tmp_path: Path) -> None:
    uri, events = str(tmp_path / "lake"), rows(0, 100)
    large = pa.array([f'{{"note":"{number:0200000}"}}' for number in range(len(events))])
    events = events.set_column(events.schema.get_field_index("data"), landing_schema().field("data"), large)
    LandingTable(uri, TOPIC, "cluster", "okr-landing").append(
        events.set_column(3, landing_schema().field("event_date"), pa.array([date(2026, 4, 1)] * len(events))),
        {each: Span(None, 100) for each in range(PARTITIONS)},
    )
    batches = list(find_pending(uri, TOPIC, Watermarks({})).batches(COLUMNS))
    assert sum(batch.num_rows for batch in batches) == 200
    assert max(batch.nbytes for batch in batches) < 2 * BATCH_MEGABYTES * 1e6


@pytest.mark.parametrize(
    ("harm", "error", "says"),
    [
        (Path.unlink, RetryableError, "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), PermanentError, "is damaged"),
    ],
)
def test_a_missing_or_torn_file_is_named(
    harm: Callable[[Path], object], error: type[Exception], says: str, lake: str
) -> None:
    path = next(Path(table_uri(lake, TOPIC)).rglob("*.parquet"))
    harm(path)
    with pytest.raises(error, match=f"{path.name} {says}"):
        positions(lake, {})


@settings(deadline=None)  # the machine may be busy
@given(
    st.dictionaries(st.integers(0, 3), st.integers(0, 9)),
    st.none() | st.dictionaries(st.integers(0, 3), st.integers(0, 9)),
)
def test_a_file_is_skipped_only_if_none_of_its_rows_is_wanted(
    watermarks: dict[int, int], end_offsets: dict[int, int] | None
) -> None:
    import numpy as np

    wanted = Wanted(watermarks, end_offsets)
    partitions, offsets = (each.ravel() for each in np.meshgrid(np.arange(4), np.arange(9), indexing="ij"))
    mask = wanted.mask(partitions, offsets)
    for partition in range(4):
        for first in range(9):
            of_file = (partitions == partition) & (offsets >= first)
            assert Extent(range(partition, partition + 1), first, 8).may_include(wanted) or not mask[of_file].any()
