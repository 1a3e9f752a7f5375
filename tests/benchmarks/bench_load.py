"""`okr load` compared with a bare binary COPY of the same, already encoded rows: the ratio of times, by medians."""

import os
import re
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from ingestion.batch import Span
from ingestion.landing.commit import LandingTable
from ingestion.loading import load
from ingestion.loading.copy_encoding import Encoder
from ingestion.loading.pending import Watermarks, find_pending
from lakehouse.lake import EVENT_COLUMNS, landing_schema
from lakehouse.settings import Settings
from tests.ingestion.crash import environment_of

TOPIC = "okr_user_events"
EVENTS = int(os.environ.get("OKR_BENCH_EVENTS", "1000000"))
ROUNDS = int(os.environ.get("OKR_BENCH_ROUNDS", "5"))
BATCH_EVENTS = 50_000
PARTITIONS = 4
REJECTED_EVERY = 100
MIN_RATIO = 0.85
MOST_MEGABYTES = 800


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds, and CPU seconds in this process and in the PostgreSQL backend."""

    wall: float
    own_cpu: float
    server_cpu: float


def rows_from(start: int, end: int) -> pa.Table:
    """Yield check-ins of 30 days as landed, one in a hundred rejected; partitions alternate every 100 events."""
    started = datetime(2026, 9, 1, tzinfo=UTC)
    moments = [started + timedelta(days=30 * number / EVENTS) for number in range(start, end)]
    good = [number % REJECTED_EVERY != 0 for number in range(start, end)]

    def where_good(values: Iterator[object]) -> list[object]:
        return [value if is_good else None for value, is_good in zip(values, good, strict=True)]

    numbers = range(start, end)
    place = [divmod(number, 100) for number in numbers]
    columns = {
        "kafka_partition": [turn % PARTITIONS for turn, _ in place],
        "kafka_offset": [turn // PARTITIONS * 100 + rest for turn, rest in place],
        "logged_at": moments,
        "event_date": [moment.date() for moment in moments],
        "event_id": where_good(str(uuid.uuid4()) for _ in numbers),
        "event_type": where_good("okr.check_in.recorded.v1" for _ in numbers),
        "source": where_good("bench" for _ in numbers),
        "subject": where_good(f"k{number % 2000}" for number in numbers),
        "occurred_at": where_good(iter(moments)),
        "recorded_at": where_good(iter(moments)),
        "recorded_at_assumed": where_good(False for _ in numbers),
        "data": where_good(
            f'{{"check_in_id":"c{number}","key_result_id":"k{number % 2000}","value":{number / 7},'
            f'"user_id":"u{number % 300}","confidence":0.5,"note":"as agreed on Monday","is_final":false}}'
            for number in numbers
        ),
        "rejection_reason": [None if is_good else "not_json" for is_good in good],
        "rejected_value": [None if is_good else b"{bad" for is_good in good],
    }
    nothing = [None] * len(numbers)
    return pa.table(
        [pa.array(columns.get(field.name, nothing), field.type) for field in landing_schema()], landing_schema()
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake with EVENTS rows, landed in batches of 50,000 as in a backfill."""
    uri = str(tmp_path_factory.mktemp("bench") / "lake")
    table, positions = LandingTable(uri, TOPIC, "bench-cluster", "okr-landing"), dict[int, int]()
    for start in range(0, EVENTS, BATCH_EVENTS):
        rows = rows_from(start, min(start + BATCH_EVENTS, EVENTS))
        ends = rows.group_by("kafka_partition").aggregate([("kafka_offset", "max")]).to_pylist()
        spans = {
            end["kafka_partition"]: Span(positions.get(end["kafka_partition"]), end["kafka_offset_max"] + 1)
            for end in ends
        }
        table.append(rows, spans)
        positions |= {partition: span.next for partition, span in spans.items()}
    return uri


def encoded_beforehand(lake: str) -> list[bytes]:
    """Return the COPY bytes of all valid rows in the order of the log."""
    rows = pa.Table.from_batches(
        find_pending(lake, TOPIC, Watermarks({})).batches((*EVENT_COLUMNS, "rejection_reason"))
    )
    rows = rows.filter(rows["rejection_reason"].is_null())
    rows = rows.sort_by([("kafka_partition", "ascending"), ("kafka_offset", "ascending")]).combine_chunks()
    encoder = Encoder()
    batches = rows.to_batches(max_chunksize=20_000)
    return [encoder.header(), *(encoder.rows(batch) for batch in batches), encoder.end()]


def bare_copy(settings: Settings, encoded: list[bytes]) -> None:
    statement = sql.SQL("COPY raw.{} ({}) FROM STDIN WITH (FORMAT binary)").format(
        sql.Identifier(TOPIC), sql.SQL(", ").join(map(sql.Identifier, EVENT_COLUMNS))
    )
    with (
        psycopg.connect(settings.require("dsn_loader")) as connection,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for part in encoded:
            copy.write(part)


def cost_of(settings: Settings, work: Callable[[], object]) -> Cost:
    """Run `work` and return its cost."""
    with psycopg.connect(settings.require("dsn_owner")) as connection:
        postmaster = psutil.Process(connection.info.backend_pid).parent()
    before = backend_seconds(postmaster)
    wall, own = time.perf_counter(), time.process_time()
    work()
    wall, own = time.perf_counter() - wall, time.process_time() - own
    return Cost(wall, own, backend_seconds(postmaster) - before)


def backend_seconds(postmaster: psutil.Process) -> float:
    """Return the CPU seconds of ended server processes, after all client backends have ended."""
    while any(_is_backend(child) for child in postmaster.children()):
        time.sleep(0.05)
    times = postmaster.cpu_times()
    return float(times.children_user + times.children_system)


def _is_backend(process: psutil.Process) -> bool:
    try:
        return "127.0.0.1" in " ".join(process.cmdline())
    except psutil.ZombieProcess:
        return True  # its parent has not collected its usage yet
    except psutil.NoSuchProcess:
        return False


def rows_in_raw(settings: Settings) -> int:
    with psycopg.connect(settings.require("dsn_loader")) as connection:
        (rows,) = connection.execute(f"SELECT count(*) FROM raw.{TOPIC}").fetchone() or (0,)
    return int(rows)


@pytest.mark.timeout(3600)
def test_loading_is_compared_with_a_bare_copy_of_the_same_rows(
    lake: str, new_database: Callable[[], AbstractContextManager[Settings]]
) -> None:
    encoded = encoded_beforehand(lake)
    good = EVENTS - len(range(0, EVENTS, REJECTED_EVERY))
    bare, ours = [], []
    for number in range(2 * ROUNDS):
        with new_database() as fresh:
            settings = fresh.model_copy(update={"lake_uri": lake})
            if number % 2 == 0:
                bare.append(cost_of(settings, lambda: bare_copy(settings, encoded)))  # noqa: B023
            else:
                ours.append(cost_of(settings, lambda: load(settings)))  # noqa: B023
            assert rows_in_raw(settings) == good
    for name, costs in (("bare COPY", bare), ("okr load", ours)):
        wall, own, server = (statistics.median(getattr(cost, each) for cost in costs) for each in Cost.__annotations__)
        print(
            f"\n{name:<10} {good / wall:>10,.0f} rows/s"
            f"  CPU s per million: {own / good * 1e6:.2f} own, {server / good * 1e6:.2f} PostgreSQL",
            end="",
        )
    ratio = statistics.median(cost.wall for cost in bare) / statistics.median(cost.wall for cost in ours)
    print(f"\nratio      {ratio:>10.3f}")
    assert ratio >= MIN_RATIO


@pytest.mark.timeout(3600)
def test_the_memory_of_a_load_is_bounded(lake: str, fresh_database: Settings, tmp_path: Path) -> None:
    """Measure the peak memory of `okr load` in its own process; OKR_BENCH_EVENTS=10000000 shows that it is constant."""
    settings = fresh_database.model_copy(update={"lake_uri": lake})
    # In getrusage, Linux includes the peak of a process before its exec; VmHWM does not.
    code = (
        "from pathlib import Path; from ingestion.loading import load; from lakehouse.settings import load_settings;"
        "load(load_settings()); print(Path('/proc/self/status').read_text())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=environment_of(settings, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    megabytes = int(re.findall(r"VmHWM:\s+(\d+) kB", answer.stdout)[0]) / 1e3
    print(f"\nokr load of {EVENTS:,} rows: {megabytes:.0f} MB at most")
    assert megabytes < MOST_MEGABYTES
