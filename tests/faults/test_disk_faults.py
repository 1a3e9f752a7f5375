"""The disk under the lake: full while landing, a checkpoint or maintenance writes, or read-only for a while."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from ingestion.maintenance import maintain
from ingestion.producer import EventProducer
from lakehouse.errors import RetryableError
from lakehouse.lake import table_uri
from lakehouse.settings import Settings
from tests.faults.conftest import StartWorker
from tests.faults.disks import small_disk
from tests.faults.lake import TOPIC, Events, drain, landed_rows, log_of, send
from tests.faults.proof import prove
from tests.ingestion.crash import OKR, environment_of


@pytest.fixture
def on_small_disk(pipeline: Settings, tmp_path: Path) -> Iterator[Settings]:
    """The pipeline with its lake on a mounted disk of one megabyte."""
    place = tmp_path / "disk"
    with small_disk(place, 1):
        yield pipeline.model_copy(update={"lake_uri": str(place / "lake")})


def disk_of(settings: Settings) -> Path:
    return Path(settings.lake_uri).parent


def fill(place: Path, left_bytes: int) -> Path:
    """Leave only `left_bytes` free on a disk; return the file that fills the rest."""
    filler, disk = place / "filler", os.statvfs(place)
    filler.write_bytes(b"x" * max(disk.f_bavail * disk.f_frsize - left_bytes, 0))
    return filler


FULL = {"not even space for a data file": 4096, "space for a data file, but not for its commit": 16_384}


@pytest.mark.parametrize(
    "space",
    [
        pytest.param("not even space for a data file", marks=pytest.mark.chaos),
        "space for a data file, but not for its commit",
    ],
)
def test_the_disk_is_full_while_the_lake_is_written(
    space: str,
    on_small_disk: Settings,
    producer: EventProducer,
    check_in: Events,
    start_worker: StartWorker,
) -> None:
    settings = on_small_disk
    send(producer, check_in, range(100))
    drain(settings, rows=50)
    worker = start_worker(settings)
    filler = fill(disk_of(settings), FULL[space])
    send(producer, check_in, range(100, 400))
    worker.wait_until(lambda: "Is the disk full" in worker.text(), "the worker reports the error")
    filler.unlink()
    worker.wait_until(lambda: landed_rows(settings) == 400, "every row is landed")
    assert worker.end() == 0
    prove(settings, fault=f"full disk during a lake write: {space}", sent=400)


def test_the_disk_is_full_when_landing_writes_a_checkpoint(
    on_small_disk: Settings, producer: EventProducer, check_in: Events
) -> None:
    settings = on_small_disk
    send(producer, check_in, range(100))
    drain(settings, rows=50)
    DeltaTable(table_uri(settings.lake_uri, TOPIC)).alter.set_table_properties({"delta.checkpointInterval": "1"})
    log, sent = log_of(settings), 100
    for left_bytes in (
        61_440,
        45_056,
        36_864,
        28_672,
        20_480,
    ):  # one of these leaves space for everything except a checkpoint
        filler = fill(disk_of(settings), left_bytes)
        send(producer, check_in, range(sent, sent + 10))
        sent += 10
        with contextlib.suppress(RetryableError):
            drain(settings, rows=50)
        filler.unlink()
        if DeltaTable(table_uri(settings.lake_uri, TOPIC)).version() not in log.checkpoints():
            break
    else:
        pytest.fail("the disk was never full at a checkpoint")
    drain(settings, rows=50)
    maintain(settings)
    prove(settings, fault="full disk during a checkpoint of landing", sent=sent)


def test_the_disk_is_full_during_maintenance(pipeline: Settings, producer: EventProducer, check_in: Events) -> None:
    """A limit of the file size fails a write like a full disk: first of compaction, then of the checkpoint."""
    send(producer, check_in, range(400))
    drain(pipeline, rows=50)
    for limit in (4_000, 14_000):
        answer = subprocess.run(
            [*OKR, "lake", "maintain"],
            env=environment_of(pipeline),
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (answer.returncode, "docs/runbooks/lake-full.md" in answer.stderr) == (1, True), answer.stdout
    table = DeltaTable(table_uri(pipeline.lake_uri, TOPIC))
    assert (len(table.file_uris()), log_of(pipeline).checkpoints()) == (1, []), (
        "the first limit fails compaction, the second does not"
    )
    send(producer, check_in, range(400, 500))
    drain(pipeline, rows=50)
    assert maintain(pipeline)
    prove(pipeline, fault="full disk during compaction and a checkpoint of maintenance", sent=500)


def test_the_lake_is_read_only_for_a_while(
    on_small_disk: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    settings = on_small_disk
    send(producer, check_in, range(100))
    drain(settings, rows=50)
    subprocess.run(["mount", "-o", "remount,ro", str(disk_of(settings))], check=True)
    worker = start_worker(settings)
    send(producer, check_in, range(100, 200))
    worker.wait_until(lambda: "read-only" in worker.text(), "the worker reports the error")
    with pytest.raises(RetryableError, match="read-only"):
        maintain(settings)
    subprocess.run(["mount", "-o", "remount,rw", str(disk_of(settings))], check=True)
    worker.wait_until(lambda: landed_rows(settings) == 200, "every row is landed")
    assert worker.end() == 0
    maintain(settings)
    prove(settings, fault="the lake's folder is read-only for a while", sent=200)
