"""Compacting 1,000 small files, compared with copying their bytes in the same run, by medians."""

import os
import shutil
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from ingestion.batch import Span
from ingestion.landing.commit import LandingTable
from ingestion.maintenance.compaction import compact
from lakehouse.ids import uuid7
from lakehouse.lake import landing_schema, open_table, table_uri

TOPIC = "okr_user_events"
FILES = 1_000
EVENTS_OF_A_FILE = 100  # one second of a slow stream
DAYS = 730
ROUNDS = 5
MIN_RATIO = 0.5


def batch(start: int, rows: int, day: date) -> pa.Table:
    """Return check-ins in the form of landing, of one partition and day."""
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    same = {"kafka_partition": 0, "event_date": day, "event_type": "okr.check_in.recorded.v1", "source": "bench"}
    same |= dict.fromkeys(("logged_at", "occurred_at", "recorded_at"), at) | {"recorded_at_assumed": False}
    return pa.Table.from_pylist(
        [
            same
            | {
                "kafka_offset": number,
                "event_id": str(uuid7()),
                "subject": f"k{number % 2000}",
                "data": f'{{"check_in_id":"c{number}","key_result_id":"k{number % 2000}","user_id":"u{number % 300}",'
                f'"value":{number / 7},"confidence":0.5,"note":"as agreed on Monday"}}',
            }
            for number in range(start, start + rows)
        ],
        landing_schema(),
    )


def fill(folder: Path, files: int, rows: int, days: int) -> Path:
    """Land a number of batches, one file each, and return the folder of the table."""
    table = LandingTable(str(folder), TOPIC, "cluster", "okr-landing")
    first = datetime.now(UTC).date()
    for number in range(files):
        start = number * rows
        day = first - timedelta(days=number % days)
        table.append(batch(start, rows, day), {0: Span(start or None, start + rows)})
    return Path(table_uri(str(folder), TOPIC))


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def copy_each(files: Sequence[Path], to: Path, *, flushed: bool) -> float:
    """Copy file by file and return the seconds; `flushed`: fsync each file, and the folder at the end."""
    to.mkdir()
    started = time.perf_counter()
    for file in files:
        with file.open("rb") as source, (to / file.name).open("wb") as target:
            shutil.copyfileobj(source, target)
            if flushed:
                target.flush()
                os.fsync(target.fileno())
    if flushed:
        sync(to)
    return time.perf_counter() - started


def joined(table: Path) -> tuple[float, float]:
    """Compact a table; return wall and CPU seconds. The new file is fsynced before the commit."""
    opened = open_table(str(table))
    started, used = time.perf_counter(), time.process_time()
    assert compact(opened, str(table))[0] == FILES
    return time.perf_counter() - started, time.process_time() - used


@pytest.mark.timeout(900)
def test_compacting_a_thousand_small_files_takes_little_longer_than_copying_them(tmp_path: Path) -> None:
    source = fill(tmp_path / "lake", FILES, EVENTS_OF_A_FILE, days=1)
    files = list(source.glob("event_date=*/*.parquet"))
    seconds: dict[str, list[float]] = {"flushed": [], "unflushed": [], "join": [], "cpu": []}
    for number in range(ROUNDS + 1):  # the first one is a warm-up
        table = tmp_path / f"round-{number}"
        shutil.copytree(source, table)
        wall, cpu = joined(table)
        flushed = copy_each(files, tmp_path / f"flushed-{number}", flushed=True)
        unflushed = copy_each(files, tmp_path / f"unflushed-{number}", flushed=False)
        if number:
            for name, value in (("flushed", flushed), ("unflushed", unflushed), ("join", wall), ("cpu", cpu)):
                seconds[name].append(value)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = median["flushed"] / median["join"]
    before = sum(file.stat().st_size for file in files)
    after = sum(file["size_bytes"] for file in DeltaTable(str(table)).get_add_actions().to_struct_array().to_pylist())
    print(
        f"\n{FILES:,} files of {EVENTS_OF_A_FILE} events, {before / 1e6:.1f} MB; joined {after / 1e6:.1f} MB"
        f"\ncopy, each file flushed      {median['flushed']:>8.3f} s"
        f"\ncopy, into memory alone      {median['unflushed']:>8.3f} s"
        f"\njoin, flushed and committed  {median['join']:>8.3f} s  {median['cpu']:.2f} CPU s"
        f"\nratio                        {ratio:>8.2f}  (to the unflushed {median['unflushed'] / median['join']:.2f})"
    )
    assert pl.scan_delta(open_table(str(table))).select(pl.len()).collect().item() == FILES * EVENTS_OF_A_FILE
    assert ratio >= MIN_RATIO


def median_seconds(frame: pl.LazyFrame) -> float:
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        assert frame.collect().height == DAYS * EVENTS_OF_A_FILE
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


@pytest.mark.timeout(900)
def test_the_cost_of_reading_two_years_with_one_file_per_day(tmp_path: Path) -> None:
    """Each day keeps its own file: this measures the cost, for all columns and for one."""
    table = open_table(str(fill(tmp_path / "lake", DAYS, EVENTS_OF_A_FILE, days=DAYS)))
    whole = tmp_path / "one.parquet"
    rows = pl.scan_delta(table).collect()
    assert rows.height == DAYS * EVENTS_OF_A_FILE
    rows.write_parquet(whole, compression="zstd")
    for name, columns in (("every column", pl.all()), ("one column", pl.col("kafka_offset"))):
        days = median_seconds(pl.scan_delta(table).select(columns))
        one = median_seconds(pl.scan_parquet(whole).select(columns))
        print(f"\n{name:<13} of {DAYS} files {days:.3f} s, of one file {one:.3f} s", end="")
    print()
