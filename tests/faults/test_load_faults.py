"""The loader is killed at every step and at random, races with itself and compaction, and loses PostgreSQL."""

import random
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from ingestion.batch import Limits
from ingestion.contract_validation import encode
from ingestion.landing.consumer import land
from ingestion.loading import load, read_pending
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.errors import PermanentError
from lakehouse.lake import table_uri
from lakehouse.settings import Settings
from tests.faults.conftest import StartWorker
from tests.faults.lake import TOPIC, Events
from tests.faults.proof import prove
from tests.faults.services import OwnPostgres

IMPORTS = """
import ingestion.loading
from ingestion.loading import copy
from ingestion.loading.copy_encoding import Encoder
"""
# Each step of the protocol, in order.
STEPS = {
    "before it connects": "before(copy, 'connect', die)",
    "before it takes the topic's lock": "before(copy, '_lock', die)",
    "while it holds the lock": "after(copy, '_lock', die)",
    "after it read the watermarks": "after(copy, 'read_watermarks', die)",
    "after it found pending rows": "after(copy, 'find_pending', die)",
    "before the COPY": "before(copy, '_copy', die)",
    "in the middle of the COPY": "after(Encoder, 'rows', die, times=3)",
    "with every row sent, before the COPY ends": "before(Encoder, 'end', die)",
    "between the COPY and its watermarks": "before(copy, '_write_watermarks', die)",
    "with its watermarks written, before COMMIT": "after(copy, '_write_watermarks', die)",
    "during COMMIT": "after(copy, '_write_watermarks', lambda: die_soon(0.002))",
    "after COMMIT": "after(copy, '_load_topic', die)",
}
AT_LENGTH = set(STEPS) - {"in the middle of the COPY", "with its watermarks written, before COMMIT", "after COMMIT"}
MARKED = [pytest.param(step, marks=pytest.mark.chaos if step in AT_LENGTH else ()) for step in STEPS]

SMALL = Limits(rows=100, seconds=0.3)
HALF_AN_HOUR = 1800  # between two events: 300 of them lie in a file for each of 7 days


@pytest.fixture
def land_events(pipeline: Settings, producer: EventProducer, check_in: Events) -> Callable[[range], int]:
    """Return a function that sends check-ins by number, every tenth with an invalid message, lands and counts all."""

    def send_and_land(numbers: range) -> int:
        for number in numbers:
            producer.send(check_in(number * HALF_AN_HOUR))
            if number % 10 == 0:
                producer.send_raw(TOPIC, b"k", b"no event")
        producer.flush()
        land(pipeline, threading.Event(), limits=SMALL, drain=True)
        return len(numbers) + sum(number % 10 == 0 for number in numbers)

    return send_and_land


LandEvents = Callable[[range], int]


def raw_rows(settings: Settings) -> int:
    with psycopg.connect(settings.require("dsn_loader")) as connection:
        (rows,) = connection.execute(f"SELECT count(*) FROM raw.{TOPIC}").fetchone() or (0,)
    return int(rows)


@pytest.mark.parametrize("step", MARKED)
def test_a_loader_is_killed(step: str, pipeline: Settings, land_events: LandEvents, start_worker: StartWorker) -> None:
    sent = land_events(range(-300, 0))
    worker = start_worker(pipeline, "load", arm=f"{IMPORTS}\n{STEPS[step]}")
    assert worker.ended() == -signal.SIGKILL, f"it was not killed {step}: {worker.text()}"
    assert raw_rows(pipeline) in (0, 300)
    load(pipeline)
    assert raw_rows(pipeline) == 300
    prove(pipeline, fault=f"loader killed {step}", sent=sent)


@pytest.mark.parametrize("times", [5, pytest.param(70, marks=[pytest.mark.chaos, pytest.mark.timeout(3600)])])
def test_a_loader_is_killed_at_random_moments(
    times: int, pipeline: Settings, land_events: LandEvents, start_worker: StartWorker
) -> None:
    """More events land between the kills, so that each load starts where another one was interrupted."""
    chance, sent, killed = random.Random(times), 0, 0
    for number in range(times):
        sent += land_events(range(number * 40 - 40 * times, number * 40 - 40 * times + 40))
        within = chance.uniform(0, 0.25)
        worker = start_worker(
            pipeline, "load", arm=f"{IMPORTS}\nbefore(ingestion.loading, 'load', lambda: die_soon({within}))"
        )
        killed += worker.ended() == -signal.SIGKILL
    assert killed >= times // 2  # other loads finished before
    load(pipeline)
    assert raw_rows(pipeline) == 40 * times
    prove(pipeline, fault="loader killed at random moments", sent=sent)


@pytest.mark.parametrize("loaders", [2, pytest.param(10, marks=pytest.mark.chaos)])
def test_concurrent_loaders_race(
    loaders: int, pipeline: Settings, land_events: LandEvents, start_worker: StartWorker
) -> None:
    sent = land_events(range(-300, 0))
    # Each pauses with the lock, so that all others wait for it.
    arm = f"{IMPORTS}\nslow(copy, 'read_watermarks', 0.3)"
    workers = [start_worker(pipeline, "load", arm=arm) for _ in range(loaders)]
    assert [worker.ended(240) for worker in workers] == [0] * loaders, [worker.text() for worker in workers]
    assert raw_rows(pipeline) == 300
    prove(pipeline, fault="concurrent loaders", sent=sent)


def test_postgresql_is_killed_during_the_copy(
    pipeline: Settings, land_events: LandEvents, start_worker: StartWorker, tmp_path: Path
) -> None:
    sent = land_events(range(-300, 0))
    with OwnPostgres(tmp_path / "postgres") as server:
        settings = server.instead_of(pipeline)
        loader = start_worker(settings, "load", arm=f"{IMPORTS}\nbefore(Encoder, 'end', freeze)")
        loader.until_frozen()
        loader.wait_until(lambda: is_copying(server), "PostgreSQL is in the middle of the COPY")
        server.kill()
        loader.thaw()
        assert loader.ended() == 1
        assert "the load was rolled back" in loader.text()
        server.start()
        assert raw_rows(settings) == 0
        assert load(settings)[TOPIC] == 300
        prove(settings, fault="PostgreSQL killed in the middle of COPY", sent=sent)


def is_copying(server: OwnPostgres) -> bool:
    """Return whether a loader's COPY has received everything that was sent and waits for more."""
    query = "SELECT wait_event FROM pg_stat_activity WHERE application_name = 'okr-load' AND query LIKE 'COPY%'"
    with psycopg.connect(server.settings().require("dsn_loader")) as connection:
        return ("ClientRead",) in connection.execute(query).fetchall()


def test_rows_of_a_failed_load_and_late_events_are_loaded_by_the_next_load(
    pipeline: Settings, producer: EventProducer, land_events: LandEvents
) -> None:
    """A newest-timestamp watermark would skip both, because they are older than it."""
    sent = land_events(range(-300, -200))
    load(pipeline)
    sent += land_events(range(-200, -100))
    with psycopg.connect(pipeline.require("dsn_owner"), autocommit=True) as owner:
        owner.execute(f"ALTER TABLE raw.{TOPIC} ADD CONSTRAINT refuses CHECK (kafka_offset < 0) NOT VALID")
        with pytest.raises(PermanentError, match="the load was rolled back"):
            load(pipeline)
        owner.execute(f"ALTER TABLE raw.{TOPIC} DROP CONSTRAINT refuses")
    sent += land_events(range(-100, 0))
    long_ago = datetime.now(UTC) - timedelta(days=400)
    for number in range(50):
        data = CheckInRecorded(check_in_id=f"late{number}", key_result_id="k1", value=1.0)
        producer.send(encode(data, at=long_ago, source="test"))
    producer.flush()
    land(pipeline, threading.Event(), drain=True)
    assert load(pipeline)[TOPIC] == 250
    prove(
        pipeline,
        fault="a failed load, and late events",
        thread="cal-itp #2541",
        happened="the watermark was the newest timestamp: the rows of a failed load were never loaded",
        sent=sent + 50,
    )


def test_loads_run_during_compaction(pipeline: Settings, land_events: LandEvents) -> None:
    """A file that compaction wrote spans the watermark, and files are deleted between finding and reading them."""
    sent, rows = land_events(range(-300, -200)), 100
    stop = threading.Event()

    def compact() -> int:
        compactions = 0
        while not stop.is_set():
            try:
                compactions += DeltaTable(table_uri(pipeline.lake_uri, TOPIC)).optimize.compact()["numFilesAdded"] > 0
            except CommitFailedError:
                continue  # landing has committed first; try again
            stop.wait(0.05)
        return compactions

    with ThreadPoolExecutor(1) as thread:
        compacting = thread.submit(compact)
        try:
            for start in (-200, -150, -100, -50):
                sent += land_events(range(start, start + 50))
                rows += 50
                load(pipeline)
                assert raw_rows(pipeline) == rows
        finally:
            stop.set()
        assert compacting.result() > 0
    prove(
        pipeline,
        fault="loads during compaction",
        thread="Iceberg #12549",
        happened="after a compaction a sink no longer found its offsets",
        sent=sent,
    )


@pytest.mark.parametrize("runs", [2, pytest.param(6, marks=pytest.mark.chaos)])
def test_overlapping_runs_of_one_dag(runs: int, pipeline: Settings, land_events: LandEvents) -> None:
    """Each run checks the pending rows and loads exactly these, as okr_etl_dag does; all start at the same time."""
    sent, together = land_events(range(-300, -100)), threading.Barrier(runs)

    def check_and_load(_: int) -> int:
        rows, end_offsets = read_pending(pipeline, TOPIC)
        together.wait(60)
        load(pipeline, {TOPIC: end_offsets})
        return rows.num_rows

    with ThreadPoolExecutor(runs) as threads:
        assert list(threads.map(check_and_load, range(runs))) == [sent] * runs
    assert raw_rows(pipeline) == 200
    sent += land_events(range(-100, 0))
    load(pipeline)
    prove(
        pipeline,
        fault="overlapping runs of one DAG",
        thread="Airflow, catch-up and retries",
        happened="two runs read the same watermark and both loaded the rows beyond it",
        sent=sent,
    )
