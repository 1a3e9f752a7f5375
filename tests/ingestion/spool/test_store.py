"""The spool's queue: order, durability, limits and errors."""

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ingestion.contract_validation import EncodedEvent
from ingestion.spool import Limits, Spool, SpoolFullError, spooled_sources
from ingestion.spool.disk_priority import PLATFORM_SOURCES
from lakehouse.errors import ContractViolation, PermanentError, RetryableError
from lakehouse.settings import Settings

Events = Callable[[int], EncodedEvent]


def one_by_one(spool: Spool, events: Sequence[EncodedEvent]) -> None:
    for event in events:
        spool.append([event])


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", "source")


def test_events_wait_in_order_of_arrival_readable_by_their_owner_only(spool: Spool, check_in: Events) -> None:
    events = [check_in(number) for number in range(5)]
    spool.append(events[:3])
    spool.append(events[3:])
    kept = spool.oldest(10)
    assert [(each.topic, each.key, each.value) for each in kept] == [(e.topic, e.key, e.value) for e in events]
    assert stat.S_IMODE(spool.path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in spool.path.parent.glob(f"{spool.path.name}*")} == {0o600}
    assert spooled_sources(spool.path.parent) == ["source"]


def test_appended_events_survive_a_kill_and_are_visible_to_other_processes(spool: Spool, check_in: Events) -> None:
    event = check_in(1)
    spool.append([event])
    code = """
import os, signal, sys
from pathlib import Path
from ingestion.contract_validation import EncodedEvent
from ingestion.spool import Spool

spool = Spool(Path(sys.argv[1]), "source")
spool.append([EncodedEvent("okr_user_events", b"k", b"of the dead")])
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, str(spool.path.parent)], check=False, timeout=60)
    assert [each.value for each in spool.oldest(10)] == [event.value, b"of the dead"]


def test_many_processes_append_concurrently_without_loss(spool: Spool) -> None:
    code = """
import sys
from pathlib import Path
from ingestion.contract_validation import EncodedEvent
from ingestion.spool import Spool

spool = Spool(Path(sys.argv[1]), "source")
for number in range(40):
    spool.append([EncodedEvent("okr_user_events", sys.argv[2].encode(), str(number).encode())])
"""
    command = [sys.executable, "-c", code, str(spool.path.parent)]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(4)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0, 0]
    kept = spool.oldest(1000)
    assert len(kept) == 160
    for number in range(4):
        values = [event.value for event in kept if event.key == str(number).encode()]
        assert values == [str(position).encode() for position in range(40)]


def test_a_full_spool_raises_an_error_until_it_has_space_again(tmp_path: Path, check_in: Events) -> None:
    spool = Spool(tmp_path, "source", Limits(events=3))
    places = spool.append([check_in(1), check_in(2)])
    with pytest.raises(
        SpoolFullError, match=r"is full: it has 2 events of \d+ bytes; its limits are 3 events.* 2 more events were not"
    ):
        spool.append([check_in(3), check_in(4)])
    assert spool.state().waiting == 2
    spool.settle(places[:1], {})
    spool.append([check_in(3), check_in(4)])
    assert spool.state().waiting == 3


def test_bytes_are_limited_too(tmp_path: Path, check_in: Events) -> None:
    size = len(check_in(1).key) + len(check_in(1).value)
    spool = Spool(tmp_path, "source", Limits(bytes=2 * size))
    spool.append([check_in(1), check_in(2)])
    assert spool.state().bytes == 2 * size
    with pytest.raises(SpoolFullError):
        spool.append([check_in(3)])


def test_an_event_too_large_for_the_broker_is_not_stored(spool: Spool, check_in: Events) -> None:
    with pytest.raises(ContractViolation, match="at most 1048588") as caught:
        spool.append([replace(check_in(1), value=b"x" * 1_100_000)])
    assert caught.value.reason == "too_large"
    assert spool.state().waiting == 0


def test_rejected_events_stay_until_they_are_requeued(spool: Spool, check_in: Events) -> None:
    first, second = spool.append([check_in(1), check_in(2)])
    spool.settle([second], {first: "too large for this topic"})
    assert (spool.event_status(first), spool.event_status(second)) == ("rejected", "sent")
    assert [(event.position, why) for event, why in spool.rejected()] == [(first, "too large for this topic")]
    assert (spool.state().waiting, spool.state().rejected) == (0, 1)
    assert spool.requeue_rejected() == 1
    assert [event.position for event in spool.oldest(10)] == [first]


def test_positions_are_never_reused(spool: Spool, check_in: Events) -> None:
    (first,) = spool.append([check_in(1)])
    spool.settle([first], {})
    (second,) = spool.append([check_in(2)])
    assert second > first
    assert spool.event_status(first) == "sent"


def test_an_emptied_spool_frees_its_disk_space(spool: Spool, check_in: Events) -> None:
    places = spool.append([check_in(number) for number in range(5_000)])
    spool.settle(places, {})
    assert spool.path.stat().st_size < 100_000


def test_reading_the_state_of_a_missing_spool_does_not_create_it(spool: Spool) -> None:
    assert spool.state().waiting == 0
    assert not spool.path.exists()


def test_a_damaged_file_is_reported_with_instructions(spool: Spool, check_in: Events) -> None:
    spool.path.parent.mkdir()
    spool.path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(PermanentError, match=r"source\.spool is damaged .*Move it away"):
        spool.append([check_in(1)])


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path, check_in: Events) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(PermanentError, match="cannot be used"):
        Spool(tmp_path / "file" / "spool", "source").append([check_in(1)])


def test_a_process_that_locks_the_file_too_long_causes_an_error(
    spool: Spool, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    monkeypatch.setattr("ingestion.spool.store.BUSY_SECONDS", 0.1)
    spool.append([check_in(1)])
    with sqlite3.connect(spool.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryableError, match="locked the spool"):
            Spool(spool.path.parent, "source").append([check_in(2)])
        other.execute("ROLLBACK")
    other.close()
    spool.append([check_in(2)])
    assert spool.state().waiting == 2


def test_a_full_disk_causes_an_error_and_stored_events_stay(spool: Spool, check_in: Events) -> None:
    """A limit on the file size stands in for a full disk: SQLite sees the same failing write."""
    events = [check_in(number) for number in range(10_000)]
    spool.append(events[:1])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
        with pytest.raises(SpoolFullError, match="Nothing was stored"):
            one_by_one(spool, events[1:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    kept = spool.state().waiting
    assert 1 < kept < 10_000
    assert [each.value for each in spool.oldest(10_000)] == [event.value for event in events[:kept]]
    spool.append([events[kept]])
    assert spool.state().waiting == kept + 1


def test_one_process_sends_at_a_time_and_a_dead_one_releases_the_lock(spool: Spool) -> None:
    code = """
import os, signal, sys, time
from pathlib import Path
from ingestion.spool import Spool

with Spool(Path(sys.argv[1]), "source").draining(5) as is_ours:
    print(is_ours, flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(spool.path.parent)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == "True\n"
        with spool.draining(0.1) as is_ours:
            assert not is_ours
        holder.kill()
        with spool.draining(30) as is_ours:
            assert is_ours


def test_a_process_stopped_while_opening_the_file_causes_an_error(
    spool: Spool, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr("ingestion.spool.store.BUSY_SECONDS", 0.1)
    spool.path.parent.mkdir()
    with spool.path.with_suffix(".opening").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(RetryableError, match="has been opening"):
            spool.append([check_in(1)])
    spool.append([check_in(1)])


def test_platform_records_leave_disk_space_to_events_of_users(tmp_path, check_in, monkeypatch):
    settings = Settings(state=tmp_path, spool_bytes=1_000_000)
    free = type("usage", (), {"free": 1_000_100})
    monkeypatch.setattr("ingestion.spool.store.shutil.disk_usage", lambda path: free)
    for source in PLATFORM_SOURCES:
        with pytest.raises(SpoolFullError, match="reserved for user events"):
            Spool.of(settings, source).append([check_in(1)])
    assert Spool.of(settings, "okr-api").append([check_in(1)]) == [1]
    assert Spool.of(settings, "okr-files").append([check_in(1)]) == [1]
