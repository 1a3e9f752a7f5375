"""A slow stream of events through the real broker and landing process: the time until an event is in the lake.

The time of an event is measured from the call that sends it until a reader that polls the Delta table every 20 ms has
read its row. Maintenance runs in the middle and at the end; afterwards at most one file per minute and day is left.
"""

import math
import os
import statistics
import subprocess
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from ingestion.contract_validation import encode
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.lake import table_uri
from lakehouse.settings import Settings
from tests.faults.proof import verified
from tests.faults.worker import Worker
from tests.ingestion.crash import OKR, environment_of
from tests.polling import until

TOPIC = "okr_user_events"
EVENTS_A_SECOND = int(os.environ.get("OKR_BENCH_TRICKLE_RATE", "100"))
SECONDS = int(os.environ.get("OKR_BENCH_TRICKLE_SECONDS", "60"))
MOST_P99_SECONDS = 3.0
POLL_SECONDS = 0.02


class Sender:
    """Send events at an even pace and record the times."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self.sent_at: dict[str, float] = {}

    def run(self) -> None:
        """Send `EVENTS_A_SECOND` for `SECONDS`."""
        with EventProducer(KafkaConnection(self._bootstrap)) as producer:
            started = time.monotonic()
            for number in range(EVENTS_A_SECOND * SECONDS):
                time.sleep(max(started + number / EVENTS_A_SECOND - time.monotonic(), 0))  # an even pace
                data = CheckInRecorded(check_in_id=f"c{number}", key_result_id=f"k{number % 50}", value=float(number))
                event = encode(data, at=datetime.now(UTC), source="bench")
                self.sent_at[f"c{number}"] = time.monotonic()
                producer.send(event)


class Watcher:
    """Read every file that a new version adds, and record when each row was first seen."""

    def __init__(self, uri: str) -> None:
        self._table = DeltaTable(uri)
        self._known: set[str] = set()
        self.seen_at: dict[str, float] = {}
        self.files = 0

    def look(self) -> None:
        """Load the newest version and read its new files."""
        self._table.update_incremental()
        new = [uri for uri in self._table.file_uris() if uri not in self._known]
        self._known.update(new)
        self.files += len(new)
        for uri in new:
            data = pl.read_parquet(uri, columns=["data"], hive_partitioning=False)["data"]
            now = time.monotonic()
            for number in data.str.json_path_match("$.check_in_id"):
                self.seen_at.setdefault(number, now)


@pytest.mark.timeout(SECONDS + 600)
def test_events_of_a_trickle_are_in_the_lake_within_seconds(pipeline: Settings, tmp_path: Path) -> None:
    uri, sender = table_uri(pipeline.lake_uri, TOPIC), Sender(pipeline.kafka_bootstrap)
    with Worker(pipeline, "consume", "land", log=tmp_path / "land.log") as worker:
        worker.wait_until(lambda: " reading " in worker.text(), "the worker has its partitions")
        watcher = Watcher(uri)
        sending = threading.Thread(target=sender.run)
        started = time.monotonic()
        sending.start()
        middle = None
        while sending.is_alive() or len(watcher.seen_at) < len(sender.sent_at):
            watcher.look()
            if middle is None and time.monotonic() - started > SECONDS / 2:
                middle = subprocess.Popen([*OKR, "lake", "maintain"], env=environment_of(pipeline))
            assert worker.is_running(), worker.text()
            assert time.monotonic() - started < SECONDS + 120, f"{len(watcher.seen_at)} of {len(sender.sent_at)} seen"
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - started
        assert middle is not None
        assert middle.wait(120) == 0
        used = worker_cpu_seconds(worker)
        assert worker.end() == 0
    before = len(DeltaTable(uri).file_uris())
    subprocess.run([*OKR, "lake", "maintain"], env=environment_of(pipeline), check=True)
    left = Counter(path.rpartition("/")[0] for path in DeltaTable(uri).file_uris())
    waits = [watcher.seen_at[number] - sent for number, sent in sender.sent_at.items()]
    p50, p95, p99 = (statistics.quantiles(waits, n=100)[each - 1] for each in (50, 95, 99))
    print(
        f"\n{len(waits):,} events, {len(waits) / seconds:.0f} a second; landing used {used / seconds:.2f} of a CPU"
        f"\nevent to lake  p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s, longest {max(waits):.2f} s"
        f"\nfiles          {watcher.files} seen, {before} before the last maintenance, {max(left.values())} a day after"
    )
    until(lambda: verified(pipeline)["topics"][TOPIC]["landed"] == len(waits), "the ledger has every event")
    assert p99 < MOST_P99_SECONDS
    assert max(left.values()) <= math.ceil(seconds / 60)


def worker_cpu_seconds(worker: Worker) -> float:
    import psutil

    times = psutil.Process(worker.pid).cpu_times()
    return float(times.user + times.system)
