"""Landing and the state consumer are handed over between releases while events arrive, without loss or duplicates."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from infra.deploy import links
from infra.deploy.units import running_release
from infra.deploy.workers import hand_over, running_workers
from ingestion.contract_validation import EncodedEvent
from ingestion.producer import EventProducer
from lakehouse.environment import exported
from lakehouse.settings import Settings
from tests.faults.lake import landed_rows
from tests.faults.proof import prove
from tests.figures import report
from tests.ingestion.crash import environment_of
from tests.ops.deploy.conftest import TestHost, make_host
from tests.ops.deploy.releases import install
from tests.polling import until

STATE_ROWS = "SELECT count(*), count(DISTINCT event_id) FROM app.event"


@pytest.fixture
def host(pipeline: Settings, tmp_path: Path) -> Iterator[TestHost]:
    """A host on which the workers of release 1.0 run."""
    environment = environment_of(pipeline, tmp_path / "okr")
    host = make_host(tmp_path / "host", environment)
    for version in ("1.0", "1.1"):
        install(host.host.root, version)
    links.assign(host.host, "current", "1.0")
    with exported({name: value for name, value in environment.items() if name.startswith("OKR_")}):
        try:
            for unit in ("okr-land@1", "okr-state"):
                host.units.start(unit)
            yield host
        finally:
            host.stop_all()


def test_no_event_is_lost_or_duplicated_there_and_back(
    host: TestHost, pipeline: Settings, producer: EventProducer, check_in: Callable[[int], EncodedEvent]
) -> None:
    sent, stop = list[int](), threading.Event()

    def send() -> None:
        while not stop.wait(0.005):
            producer.send(check_in(len(sent)))
            sent.append(1)

    thread = threading.Thread(target=send)
    thread.start()
    workers = running_workers(host.host, host.units)
    said = list[str]()
    try:
        for release in ("1.1", "1.0"):
            hand_over(host.host, host.units, release, workers, said.append)
            running = {unit: running_release(host.host, host.units, unit) for unit in (*host.host.landing, "okr-state")}
            assert sorted(each for each in running.values() if each) == [release, release]
    finally:
        stop.set()
        thread.join(30)
    producer.flush()

    def state_rows() -> tuple[object, ...]:
        with psycopg.connect(pipeline.require("dsn_owner")) as connection:
            return connection.execute(STATE_ROWS).fetchone() or ()

    until(lambda: state_rows()[0] == len(sent), "the state consumer has read everything")
    until(lambda: landed_rows(pipeline) >= len(sent), "everything has landed")
    line = prove(pipeline, fault="workers handed over to a release and back", sent=len(sent))
    assert state_rows() == (len(sent), len(sent))
    report(
        "Workers handed over to another release and back while events arrive",
        ("events sent", "landed", "lost", "duplicated"),
        [(f"{len(sent):,}", f"{line.found:,}", str(line.lost), str(line.duplicated))],
    )
