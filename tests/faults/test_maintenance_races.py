"""Maintenance runs race with each other, with checkpoints and with concurrent appends."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from deltalake import DeltaTable

from ingestion.batch import Span
from ingestion.consumer_groups import LANDING_GROUP
from ingestion.decoding import decode_batch, parse_messages
from ingestion.delta.log import DeltaLog
from ingestion.landing.commit import FencedError, LandingTable
from ingestion.maintenance import maintain
from ingestion.producer import EventProducer
from lakehouse.errors import RetryableError
from lakehouse.settings import Settings
from tests.faults.lake import TOPIC, Events, drain, send, uri
from tests.faults.proof import prove
from tests.faults.topics import log_id, read_all
from tests.ingestion.crash import OKR, environment_of
from tests.polling import repeating


def test_checkpoints_and_maintenance_runs_race(
    pipeline: Settings, producer: EventProducer, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the lock were lost: three processes write checkpoints and two maintenance runs overlap as events land."""
    monkeypatch.setattr(
        "ingestion.maintenance.run.read_sql", lambda *_: "SELECT true, extract(epoch FROM now())::float8"
    )
    send(producer, check_in, range(100))
    drain(pipeline)

    def checkpoint() -> None:
        DeltaTable(uri(pipeline)).create_checkpoint()

    def keep() -> bool:
        try:
            return bool(maintain(pipeline))
        except RetryableError:  # without the lock, the other run may commit first
            return False

    with (
        repeating(checkpoint), repeating(checkpoint), repeating(checkpoint), repeating(keep), repeating(keep) as runs,
    ):  # fmt: skip
        send(producer, check_in, range(100, 1000))
        drain(pipeline, rows=40)
    assert any(runs)
    maintain(pipeline)
    assert DeltaLog(uri(pipeline)).checkpoints()[-1] == DeltaTable(uri(pipeline)).version()
    prove(
        pipeline,
        fault="three checkpoints and two maintenance runs at the same time",
        thread="delta-rs #4433",
        happened="two writers of one checkpoint left a corrupt one, and the table could not be read",
        sent=1000,
    )


@pytest.mark.parametrize(
    ("writers", "count"), [(8, 600), pytest.param(200, 6_000, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])]
)
def test_concurrent_appends_race_with_compaction(
    writers: int, count: int, pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    """All writers try to land the next events of any partition at the same time, while maintenance runs."""
    send(producer, check_in, range(count))
    messages, rows = read_all(pipeline, count), 5 if writers < 100 else 30
    log = log_id(pipeline)

    def write(number: int) -> int:
        table, fenced = LandingTable(pipeline.lake_uri, TOPIC, log, LANDING_GROUP), 0
        partitions = sorted(messages)
        turn = number
        while True:
            turn += 1
            partition = partitions[turn % len(partitions)]
            table.refresh()
            start = table.next_offset(partition)
            ahead = [each for each in messages[partition] if start is None or each.offset() >= start][:rows]
            if not ahead:
                if all((table.next_offset(each) or 0) > messages[each][-1].offset() for each in partitions):
                    return fenced
                continue
            try:
                table.append(
                    decode_batch(TOPIC, [parse_messages(TOPIC, ahead)]),
                    {partition: Span(start, ahead[-1].offset() + 1)},
                )
            except FencedError:
                fenced += 1

    LandingTable(pipeline.lake_uri, TOPIC, log, LANDING_GROUP)
    with repeating(lambda: maintain(pipeline)) as runs, ThreadPoolExecutor(writers) as pool:
        fenced = sum(pool.map(write, range(writers)))
    assert fenced > 0
    print(f"\n{writers} writers, {fenced} fenced, {len(runs)} maintenance runs")
    prove(pipeline, fault=f"{writers} concurrent writers race with compaction", sent=count)


@pytest.mark.chaos
def test_of_concurrent_maintenance_runs_only_one_works(
    pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    send(producer, check_in, range(200))
    drain(pipeline, rows=20)
    commands = [
        subprocess.Popen(
            [*OKR, "lake", "maintain"], env=environment_of(pipeline), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(3)
    ]
    outputs = [command.communicate(timeout=120)[0].decode() for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0], outputs
    assert any(TOPIC in output for output in outputs)
    prove(pipeline, fault="three maintenance runs start at the same time", sent=200)
