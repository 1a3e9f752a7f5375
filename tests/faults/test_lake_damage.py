"""Files of the lake damaged by a power cut, and their repair."""

import json
import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote

import pytest
from _pytest.mark.structures import ParameterSet
from deltalake import DeltaTable

from ingestion.delta.log import DeltaLog
from ingestion.ledger.broker import Bounds, Broker
from ingestion.loading import load
from ingestion.maintenance import maintain
from ingestion.maintenance.repair import repair
from ingestion.producer import EventProducer
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.lake import table_uri
from lakehouse.settings import Settings
from tests.faults.lake import TOPIC, Events, drain, log_of, send
from tests.faults.proof import prove
from tests.ingestion.crash import OKR, environment_of


@pytest.fixture
def landed(pipeline: Settings, producer: EventProducer, check_in: Events) -> Settings:
    """Three hundred events, landed in several commits and loaded, with a checkpoint before the last commits."""
    send(producer, check_in, range(200))
    drain(pipeline, rows=50)
    maintain(pipeline)
    send(producer, check_in, range(200, 300))
    drain(pipeline, rows=50)
    load(pipeline)
    return pipeline


def first_lines(path: Path, number: int) -> None:
    path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:number]))


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def last_commit(log: DeltaLog) -> Path:
    return log.commit(log.commits()[-1])


TORN: dict[str, Callable[[DeltaLog], None]] = {
    "only the first half of the last commit survives": lambda log: half(last_commit(log)),
    "only zeros in the last commit": lambda log: void(
        last_commit(log).write_bytes(b"\0" * last_commit(log).stat().st_size)
    ),
    "the last commit without its offset": lambda log: first_lines(last_commit(log), 2),
    "a missing commit before the last": lambda log: log.commit(log.commits()[-2]).unlink(),
    "only the first half of the last data file survives": lambda log: half(newest_data_file(log)),
    "the last data file missing": lambda log: newest_data_file(log).unlink(),
}


def void(_: object) -> None:
    """Make an expression a statement."""


def newest_data_file(log: DeltaLog) -> Path:
    table = DeltaTable(str(log.commit(0).parent.parent))
    newest = max(
        table.get_add_actions(flatten=True).to_struct_array().to_pylist(), key=lambda add: add["modification_time"]
    )
    return Path(table.file_uris()[0]).parent.parent / newest["path"]


CHAOS = {
    "only zeros in the last commit", "a missing commit before the last", "the last data file missing",
    "an empty checkpoint", "a missing checkpoint",
}  # fmt: skip


def of(damages: Iterable[str]) -> list[ParameterSet]:
    return [pytest.param(each, marks=pytest.mark.chaos if each in CHAOS else ()) for each in damages]


@pytest.mark.parametrize("damage", of(TORN))
def test_a_power_cut_tears_the_files_written_last(
    damage: str, landed: Settings, producer: EventProducer, check_in: Events
) -> None:
    TORN[damage](log_of(landed))
    send(producer, check_in, range(300, 400))
    if "commit" in damage:
        with pytest.raises(RetryableError, match=r"Nothing is lost.*docs/runbooks/lake-repair.md"):
            drain(landed, rows=50)
    answer = subprocess.run(
        [*OKR, "lake", "repair"], env=environment_of(landed), capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert f"{TOPIC}: " in answer.stdout
    assert drain(landed, rows=50) > 100, "the events of removed versions are landed again"
    load(landed)
    assert repair(landed) == []
    prove(landed, fault=f"power cut: {damage}", sent=400)


def test_an_empty_last_commit_changed_no_offset(landed: Settings, producer: EventProducer, check_in: Events) -> None:
    last_commit(log_of(landed)).write_bytes(b"")
    send(producer, check_in, range(300, 400))
    drain(landed, rows=50)
    maintain(landed)
    load(landed)
    prove(landed, fault="power cut: the last commit is empty", sent=400)


def test_a_power_cut_tears_a_compaction(landed: Settings, producer: EventProducer, check_in: Events) -> None:
    before = log_of(landed).commits()[-1]
    maintain(landed)
    log = log_of(landed)
    merge = next(
        log.commit(each) for each in log.commits() if each > before and b'"remove"' in log.commit(each).read_bytes()
    )
    half(merge)
    log.checkpoint(log.checkpoints()[-1]).unlink()
    log.last_checkpoint().unlink()
    with pytest.raises(RetryableError, match=f"commit {int(merge.stem)} is torn"):
        drain(landed, rows=50)
    (done,) = repair(landed)
    assert (done.topic, done.version) == (TOPIC, int(merge.stem) - 1)
    maintain(landed)
    drain(landed, rows=50)
    prove(landed, fault="power cut: only the first half of a compaction's commit survives", sent=300)


CHECKPOINTS: dict[str, Callable[[DeltaLog], None]] = {
    "only the first half of a checkpoint survives": lambda log: half(log.checkpoint(log.checkpoints()[-1])),
    "an empty checkpoint": lambda log: void(log.checkpoint(log.checkpoints()[-1]).write_bytes(b"")),
    "a missing checkpoint": lambda log: log.checkpoint(log.checkpoints()[-1]).unlink(),
}


@pytest.mark.parametrize("damage", of(CHECKPOINTS))
def test_a_power_cut_tears_a_checkpoint(
    damage: str, landed: Settings, producer: EventProducer, check_in: Events
) -> None:
    maintain(landed)
    CHECKPOINTS[damage](log_of(landed))
    send(producer, check_in, range(300, 400))
    with pytest.raises(RetryableError, match=r"docs/runbooks/lake-repair.md"):
        drain(landed, rows=50)
    (done,) = repair(landed)
    assert (done.topic, done.version) == (TOPIC, log_of(landed).commits()[-1])
    assert drain(landed, rows=50) == 100
    maintain(landed)
    prove(landed, fault=f"power cut: {damage}", sent=400)


@pytest.mark.parametrize(
    "text",
    [pytest.param(b"", id="empty", marks=pytest.mark.chaos), pytest.param(b'{"version":5,"si', id="half")],
)
def test_a_power_cut_tears_the_pointer_to_the_checkpoint(
    text: bytes, landed: Settings, producer: EventProducer, check_in: Events
) -> None:
    log_of(landed).last_checkpoint().write_bytes(text)
    send(producer, check_in, range(300, 400))
    assert drain(landed, rows=50) == 100
    maintain(landed)
    prove(landed, fault=f"power cut: _last_checkpoint is {'cut in half' if text else 'empty'}", sent=400)


def test_repair_changes_nothing_when_the_broker_no_longer_has_the_events(landed: Settings) -> None:
    from confluent_kafka import OFFSET_END, TopicPartition
    from confluent_kafka.admin import AdminClient

    whole = last_commit(log_of(landed)).read_bytes()
    half(last_commit(log_of(landed)))
    admin = AdminClient({"bootstrap.servers": landed.kafka_bootstrap})
    partitions = admin.list_topics(timeout=10).topics[TOPIC].partitions
    gone = admin.delete_records([TopicPartition(TOPIC, each, OFFSET_END) for each in partitions], request_timeout=10)
    for each in gone.values():
        each.result(10)
    before = sorted(path.name for path in log_of(landed).commit(0).parent.iterdir())
    with pytest.raises(PermanentError, match=r"the broker has only .* Nothing was changed"):
        repair(landed)
    assert sorted(path.name for path in log_of(landed).commit(0).parent.iterdir()) == before
    last_commit(log_of(landed)).write_bytes(whole)  # as from a backup
    drain(landed, rows=50)
    fault = "power cut after the broker has deleted the events: one file is restored from a backup"
    prove(landed, fault=fault, sent=300)


def contents(settings: Settings) -> dict[str, bytes]:
    """Return every file of the topic's table."""
    folder = Path(table_uri(settings.lake_uri, TOPIC))
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def data_files(settings: Settings) -> list[Path]:
    """Return the table's data files, in the order of their commits."""
    log = log_of(settings)
    adds = [json.loads(line) for each in log.commits() for line in log.commit(each).read_bytes().splitlines()]
    return [log.commit(0).parent.parent / unquote(each["add"]["path"]) for each in adds if "add" in each]


class ChangedBroker(Broker):
    """A broker whose answers the test can change."""

    low: int | None = None
    other_log: str | None = None

    def bounds(self, topic: str) -> dict[int, Bounds]:
        bounds = super().bounds(topic)
        if self.low is None:
            return bounds
        return {each: Bounds(self.low, max(bound.high, self.low)) for each, bound in bounds.items()}

    def log_id(self, topic: str) -> str:
        return self.other_log or super().log_id(topic)


@pytest.fixture
def just_started(
    pipeline: Settings, producer: EventProducer, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A hundred events, landed from version 1 on: version 0 has no offset. Repair queries the changed broker."""
    send(producer, check_in, range(100))
    drain(pipeline, rows=50)
    monkeypatch.setattr("ingestion.maintenance.repair.Broker", ChangedBroker)
    return pipeline


def assert_refused(settings: Settings, why: str) -> None:
    before = contents(settings)
    with pytest.raises(PermanentError, match=why + ".* Nothing was changed"):
        repair(settings)
    assert contents(settings) == before


@pytest.mark.parametrize(
    ("name", "value", "refusal"),
    [
        ("low", 1_000_000, r"landing started at offset \d+, but the broker has only 1000000"),
        ("other_log", "another/log", "landed from the log .* broker now has the log another/log"),
    ],
)
def test_repair_does_not_go_back_to_an_empty_table_that_the_broker_cannot_fill(
    name: str, value: object, refusal: str, just_started: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    half(data_files(just_started)[0])
    monkeypatch.setattr(ChangedBroker, name, value)
    assert_refused(just_started, refusal)
    monkeypatch.setattr(ChangedBroker, "low", 0)
    monkeypatch.setattr(ChangedBroker, "other_log", None)
    assert repair(just_started)[0].version == 0
    assert drain(just_started, rows=50) == 100


def test_a_torn_first_commit_is_only_repaired_when_the_broker_has_all_events(
    just_started: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    half(log_of(just_started).commit(1))
    monkeypatch.setattr(ChangedBroker, "low", 1_000_000)
    assert_refused(just_started, "an unknown offset")
    monkeypatch.setattr(ChangedBroker, "low", 0)
    (done,) = repair(just_started)
    assert done.version == 0
    assert drain(just_started, rows=50) == 100


def test_data_files_of_removed_versions_are_kept_for_the_retention(landed: Settings) -> None:
    files = data_files(landed)
    for each in files:
        os.utime(each, (0, 0))
    half(last_commit(log_of(landed)))
    assert repair(landed)
    drain(landed, rows=50)
    (Path(landed.lake_uri) / "_maintenance.json").unlink()  # so that the next run vacuums again
    maintain(landed)
    assert [each for each in files if not each.exists()] == []
