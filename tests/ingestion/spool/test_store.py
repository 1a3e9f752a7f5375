"""What the spool keeps, for whom, and what it says when it cannot."""

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ingestion.event_codec import EncodedEvent
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


def test_events_wait_in_the_order_they_came_and_only_their_owner_can_read_them(spool: Spool, check_in: Events) -> None:
    events = [check_in(number) for number in range(5)]
    spool.append(events[:3])
    spool.append(events[3:])
    kept = spool.oldest(10)
    assert [(each.topic, each.key, each.value) for each in kept] == [(e.topic, e.key, e.value) for e in events]
    assert stat.S_IMODE(spool.path.parent.stat().st_mode) == 0o700
    assert spooled_sources(spool.path.parent) == ["source"]


def test_what_was_appended_is_there_for_another_process_and_after_a_kill(spool: Spool, check_in: Events) -> None:
    event = check_in(1)
    spool.append([event])
    code = """
import os, signal, sys
from pathlib import Path
from ingestion.event_codec import EncodedEvent
from ingestion.spool import Spool

spool = Spool(Path(sys.argv[1]), "source")
spool.append([EncodedEvent("okr_user_events", b"k", b"of the dead")])
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, str(spool.path.parent)], check=False, timeout=60)
    assert [each.value for each in spool.oldest(10)] == [event.value, b"of the dead"]


def test_many_processes_append_at_once_and_none_is_lost(spool: Spool) -> None:
    code = """
import sys
from pathlib import Path
from ingestion.event_codec import EncodedEvent
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


def test_a_full_spool_takes_nothing_says_so_and_takes_again_when_it_has_room(tmp_path: Path, check_in: Events) -> None:
    spool = Spool(tmp_path, "source", Limits(events=3))
    places = spool.append([check_in(1), check_in(2)])
    with pytest.raises(SpoolFullError, match=r"is full: 2 events of \d+ bytes wait.*takes 3 events.* 2 more were not"):
        spool.append([check_in(3), check_in(4)])
    assert spool.state().waiting == 2
    spool.settle(places[:1], {})
    spool.append([check_in(3), check_in(4)])
    assert spool.state().waiting == 3


def test_bytes_are_a_bound_too(tmp_path: Path, check_in: Events) -> None:
    size = len(check_in(1).key) + len(check_in(1).value)
    spool = Spool(tmp_path, "source", Limits(bytes=2 * size))
    spool.append([check_in(1), check_in(2)])
    assert spool.state().bytes == 2 * size
    with pytest.raises(SpoolFullError):
        spool.append([check_in(3)])


def test_what_the_broker_would_never_take_is_not_kept(spool: Spool, check_in: Events) -> None:
    with pytest.raises(ContractViolation, match="at most 1048588") as refused:
        spool.append([replace(check_in(1), value=b"x" * 1_100_000)])
    assert refused.value.reason == "too_large"
    assert spool.state().waiting == 0


def test_what_was_refused_no_longer_waits_but_stays_until_it_is_tried_again(spool: Spool, check_in: Events) -> None:
    first, second = spool.append([check_in(1), check_in(2)])
    spool.settle([second], {first: "too large for this topic"})
    assert (spool.event_status(first), spool.event_status(second)) == ("rejected", "sent")
    assert [(event.position, why) for event, why in spool.rejected()] == [(first, "too large for this topic")]
    assert (spool.state().waiting, spool.state().rejected) == (0, 1)
    assert spool.requeue_rejected() == 1
    assert [event.position for event in spool.oldest(10)] == [first]


def test_places_are_never_given_out_twice(spool: Spool, check_in: Events) -> None:
    (first,) = spool.append([check_in(1)])
    spool.settle([first], {})
    (second,) = spool.append([check_in(2)])
    assert second > first
    assert spool.event_status(first) == "sent"


def test_an_emptied_spool_gives_its_disk_back(spool: Spool, check_in: Events) -> None:
    places = spool.append([check_in(number) for number in range(5_000)])
    spool.settle(places, {})
    assert spool.path.stat().st_size < 100_000


def test_asking_for_a_spool_that_is_not_there_does_not_make_it(spool: Spool) -> None:
    assert spool.state().waiting == 0
    assert not spool.path.exists()


def test_a_damaged_file_is_named_with_what_to_do(spool: Spool, check_in: Events) -> None:
    spool.path.parent.mkdir()
    spool.path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(PermanentError, match=r"source\.spool is damaged .*Move it away"):
        spool.append([check_in(1)])


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, check_in: Events) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(PermanentError, match="cannot be used"):
        Spool(tmp_path / "file" / "spool", "source").append([check_in(1)])


def test_a_process_that_holds_the_file_for_too_long_is_an_error_not_a_wait(
    spool: Spool, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    monkeypatch.setattr("ingestion.spool.store.BUSY_SECONDS", 0.1)
    spool.append([check_in(1)])
    with sqlite3.connect(spool.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryableError, match="held the spool"):
            Spool(spool.path.parent, "source").append([check_in(2)])
        other.execute("ROLLBACK")
    other.close()
    spool.append([check_in(2)])
    assert spool.state().waiting == 2


def test_a_disk_that_takes_nothing_more_is_an_error_and_what_was_kept_stays(spool: Spool, check_in: Events) -> None:
    """The limit of a file's size stands for the disk: SQLite sees the same failing write."""
    events = [check_in(number) for number in range(10_000)]
    spool.append(events[:1])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
        with pytest.raises(SpoolFullError, match="Nothing was kept"):
            one_by_one(spool, events[1:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    kept = spool.state().waiting
    assert 1 < kept < 10_000
    assert [each.value for each in spool.oldest(10_000)] == [event.value for event in events[:kept]]
    spool.append([events[kept]])
    assert spool.state().waiting == kept + 1


def test_one_process_sends_at_a_time_and_a_dead_one_does_not_hold_the_turn(spool: Spool) -> None:
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


def test_a_process_that_stopped_while_it_opened_the_file_is_an_error_not_a_wait(
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


def test_the_platforms_own_records_leave_the_disk_to_what_users_say(tmp_path, check_in, monkeypatch):
    settings = Settings(state=tmp_path, spool_bytes=1_000_000)
    free = type("usage", (), {"free": 1_000_100})
    monkeypatch.setattr("ingestion.spool.store.shutil.disk_usage", lambda path: free)
    for source in PLATFORM_SOURCES:
        with pytest.raises(SpoolFullError, match="are left to what users say"):
            Spool.of(settings, source).append([check_in(1)])
    assert Spool.of(settings, "okr-api").append([check_in(1)]) == [1]
    assert Spool.of(settings, "okr-files").append([check_in(1)]) == [1]
