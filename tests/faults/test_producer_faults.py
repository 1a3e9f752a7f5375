"""Faults on the way to the broker: broker killed or hung, process killed, disk or spool full.

An event counts as sent if the spool accepted it without an error; every such event must be in the lake.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local.kafka import SERVER_SETTINGS
from infra.local.ports import choose
from ingestion.contract_validation import EncodedEvent
from ingestion.landing.consumer import land
from ingestion.spool import Drainer, Limits, Spool, SpoolFullError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from serving.spool_sender import SpoolSender
from tests.faults.broker import OwnBroker
from tests.faults.disks import filled, small_disk
from tests.faults.lake import Events
from tests.faults.proof import prove
from tests.ingestion.crash import environment_of
from tests.ingestion.spool.kafka_log import values_by_key
from tests.polling import until

TOPIC = "okr_user_events"
SOURCE = "okr-api"


@pytest.fixture
def killable_broker(
    fresh_database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[OwnBroker, Settings]]:
    """A broker that the test may kill, and the settings of its pipeline."""
    monkeypatch.setitem(SERVER_SETTINGS, "group.min.session.timeout.ms", "1000")  # for the short sessions of conftest
    with OwnBroker(tmp_path / "stack") as broker:
        yield broker, broker.at(fresh_database, tmp_path / "lake")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "state" / "spool", SOURCE)


def prove_all_arrived(settings: Settings, events: Sequence[EncodedEvent], fault: str) -> None:
    """Land the whole log; it has every event, the first copies of a key in the order in which they were appended."""
    logged = values_by_key(settings, TOPIC)
    for key, values in logged.items():
        first_copies = list(dict.fromkeys(values))
        assert first_copies == [event.value for event in events if event.key == key], f"{key!r} is out of order"
    land(settings, threading.Event(), drain=True)
    prove(settings, fault=fault, sent=sum(map(len, logged.values())), distinct=len(events))


@contextmanager
def sender_of(settings: Settings, spool: Spool) -> Iterator[SpoolSender]:
    sender = SpoolSender(KafkaConnection.of(settings), spool)
    sender.start()
    try:
        yield sender
    finally:
        sender.stop()


def test_a_broker_that_is_killed_and_restarted_gets_everything_in_order(
    killable_broker: tuple[OwnBroker, Settings], spool: Spool, check_in: Events
) -> None:
    broker, settings = killable_broker
    events = [check_in(number) for number in range(900)]
    with sender_of(settings, spool) as sender:
        for event in events[:300]:
            sender.post([event])
        until(lambda: sender.counts["sent"] > 0, "the first are sent")
        broker.kill()  # most of the 300 are in flight
        for event in events[300:600]:
            sender.post([event])
        until(lambda: sender.problem, "the sender notices the missing broker")
        started_at = time.monotonic()
        assert sender.deliver(events[600]) is False
        assert time.monotonic() - started_at < 30, "a source never waits for an unavailable broker"
        broker.start()
        for event in events[601:]:
            sender.post([event])
        until(lambda: sender.state().waiting == 0, "all are sent")
    prove_all_arrived(settings, events, "broker killed and restarted while sources send")


def test_a_broker_that_hangs_blocks_no_source_and_loses_nothing_when_it_resumes(
    killable_broker: tuple[OwnBroker, Settings], spool: Spool, check_in: Events
) -> None:
    broker, settings = killable_broker
    assert broker._process is not None
    events = [check_in(number) for number in range(300)]
    with sender_of(settings, spool) as sender:
        assert sender.deliver(events[0]) is True
        os.killpg(broker._process.pid, signal.SIGSTOP)
        try:
            for event in events[1:200]:
                sender.post([event])
            until(lambda: sender.problem, "the sender notices that the broker hangs")
            started_at = time.monotonic()
            assert sender.deliver(events[200]) is False
            assert time.monotonic() - started_at < 30
        finally:
            os.killpg(broker._process.pid, signal.SIGCONT)
        for event in events[201:]:
            sender.post([event])
        until(lambda: sender.state().waiting == 0, "all are sent")
    prove_all_arrived(settings, events, "broker hangs (SIGSTOP) with events in flight, then resumes")


DRAIN = """
import os, signal, sys
from lakehouse.cli import main

def die(*_arguments, **_named):
    os.kill(os.getpid(), signal.SIGKILL)

{arm}
sys.argv[:] = ["okr", "produce", "spool", "drain"]
main()
"""


def drain_command(settings: Settings, spool: Spool, arm: str = "") -> "subprocess.Popen[bytes]":
    """Start `okr produce spool drain` in a process, after the code `arm`, which may inject `die`."""
    return subprocess.Popen(
        [sys.executable, "-c", DRAIN.format(arm=arm)],
        env=environment_of(settings, spool.path.parent.parent),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def ended(process: "subprocess.Popen[bytes]") -> int:
    _, said = process.communicate(timeout=120)
    assert process.returncode in (0, -signal.SIGKILL), said.decode()
    return process.returncode


STEPS = {
    "before anything is sent": "from ingestion.spool.drain import Drainer; Drainer._send = die",
    "sent, not yet acknowledged": "from ingestion.producer import EventProducer; EventProducer.flush = die",
    "acknowledged, not yet deleted": "from ingestion.spool.store import Spool; Spool.settle = die",
    "deleted, not yet committed": """
from ingestion.spool import store
real = store._sql
store._sql = lambda name: die() if name == "mark_rejected" else real(name)
""",
    "committed": "from ingestion.spool.store import Spool; Spool._free_disk_space = die",
}


def test_after_a_process_is_killed_at_any_step_of_draining_the_next_one_sends_everything(
    pipeline: Settings, spool: Spool, check_in: Events
) -> None:
    events = [check_in(number) for number in range(40 * len(STEPS))]
    for number, (step, arm) in enumerate(STEPS.items()):
        spool.append(events[40 * number : 40 * (number + 1)])
        assert ended(drain_command(pipeline, spool, arm)) == -signal.SIGKILL, f"not killed: {step}"
    assert ended(drain_command(pipeline, spool)) == 0
    assert spool.state().waiting == 0
    prove_all_arrived(pipeline, events, f"SIGKILL while the spool is drained: {'; '.join(STEPS)}")


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])])
def test_draining_processes_are_killed_at_random_while_others_append(
    kills: int, pipeline: Settings, spool: Spool, check_in: Events
) -> None:
    chance = random.Random(kills)
    events = [check_in(number) for number in range(400 * kills)]
    done = 0
    for _ in range(kills):
        drainer = drain_command(pipeline, spool, "from ingestion.spool import drain; drain.BATCH_EVENTS = 20")
        waiting = spool.state().waiting
        # From its first batch on it is killed at a random moment, without waiting for a condition.
        until(lambda before=waiting: spool.state().waiting < before or not before, "the process has started to send")
        moment = time.monotonic() + chance.uniform(0.0, 0.3)
        while time.monotonic() < moment:
            spool.append(events[done : done + 5])
            done += len(events[done : done + 5])
        spool.append(events[done : done + 150])
        done += len(events[done : done + 150])
        drainer.kill()
        drainer.communicate(timeout=60)
    spool.append(events[done:])
    assert ended(drain_command(pipeline, spool)) == 0
    prove_all_arrived(pipeline, events, "SIGKILL at random moments while the spool is drained")


PRODUCE = """
import sys
from pathlib import Path
from ingestion.contract_validation import EncodedEvent
from ingestion.spool import Spool

spool = Spool(Path(sys.argv[1]), sys.argv[2])
for line in sys.stdin.buffer:
    key, _, value = line.rstrip(b"\\n").partition(b"\\t")
    spool.append([EncodedEvent("okr_user_events", key, value)])
    print("kept", flush=True)
"""


def test_events_that_a_killed_source_had_spooled_arrive(pipeline: Settings, spool: Spool, check_in: Events) -> None:
    events = [check_in(number) for number in range(5_000)]
    with subprocess.Popen(
        [sys.executable, "-c", PRODUCE, str(spool.path.parent), SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as source:
        assert source.stdin is not None
        assert source.stdout is not None
        kept = 0
        for event in events[:250]:
            source.stdin.write(event.key + b"\t" + event.value + b"\n")
            source.stdin.flush()
            assert source.stdout.readline() == b"kept\n"
            kept += 1
        source.kill()
    assert ended(drain_command(pipeline, spool)) == 0
    prove_all_arrived(pipeline, events[:kept], "SIGKILL of a source after each event was accepted")


def test_a_full_spool_raises_errors_and_accepted_events_arrive(
    pipeline: Settings, tmp_path: Path, check_in: Events
) -> None:
    spool = Spool(tmp_path / "state" / "spool", SOURCE, Limits(events=100))
    away = Drainer(spool, KafkaConnection(f"127.0.0.1:{choose(set())}"))
    taken, errors = [], 0
    for event in (check_in(number) for number in range(150)):
        try:
            spool.append([event])
            taken.append(event)
        except SpoolFullError:
            errors += 1
    assert (len(taken), errors) == (100, 50)
    away.close()
    Drainer(spool, KafkaConnection.of(pipeline)).drain(60)
    later = [check_in(number) for number in range(150, 200)]
    spool.append(later)
    assert ended(drain_command(pipeline, spool)) == 0
    prove_all_arrived(pipeline, [*taken, *later], "spool full: the source gets errors, then continues")


def append_until_full(spool: Spool, events: Sequence[EncodedEvent]) -> list[EncodedEvent]:
    """Append events one by one until the source gets the error; return the accepted events."""
    for position, event in enumerate(events):
        try:
            spool.append([event])
        except SpoolFullError:
            return list(events[:position])
    raise AssertionError("the disk did not fill")


def test_a_full_disk_raises_errors_loses_nothing_and_blocks_nothing_permanently(
    pipeline: Settings, tmp_path: Path, check_in: Events
) -> None:
    folder = tmp_path / "state" / "spool"
    events = [check_in(number) for number in range(4_000)]
    with small_disk(folder, 8):
        spool = Spool(folder, SOURCE)
        for event in events[:100]:
            spool.append([event])
        drainer = Drainer(spool, KafkaConnection.of(pipeline))
        with filled(folder):
            taken = events[:100] + append_until_full(spool, events[100:])
            with contextlib.suppress(SpoolFullError):  # sent events cannot always be deleted yet
                drainer.drain(60)
        for event in events[len(taken) : len(taken) + 50]:
            spool.append([event])
        taken = events[: len(taken) + 50]
        until(lambda: drainer.drain(60).is_empty, "the spool is empty")
        assert spool.state().waiting == 0
        spool.close()
        prove_all_arrived(pipeline, taken, "the spool's disk is full while events are appended and sent")
