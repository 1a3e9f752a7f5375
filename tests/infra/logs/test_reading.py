"""`okr logs` reads the files of the local stack: in order, also rotated, compressed and damaged ones."""

import gzip
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from infra.logs import files
from infra.logs.commands import group
from infra.logs.follow import follow
from infra.logs.query import Query, duration, in_order, moment, severity_of
from lakehouse.errors import PermanentError
from tests.polling import until

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ALL = Query()


def line(second: float, event: str, **values: object) -> str:
    """Return a line of a service of ours."""
    at = NOW + timedelta(seconds=second)
    return json.dumps({"time": at.isoformat(), "level": "INFO", "event": event, "module": "m", **values}) + "\n"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """The folder of the logs of a stack."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def events(folder: Path, *services: str, query: Query = ALL) -> list[str]:
    """Return the events of services."""
    return [entry.event for entry in files.read(folder, services, query)]


def test_services_are_merged_in_the_order_of_time(logs: Path) -> None:
    (logs / "api.log").write_text(line(1, "a") + line(3, "c") + line(5, "e"), encoding="utf-8")
    (logs / "land.log").write_text(line(4, "d") + line(2, "b"), encoding="utf-8")  # two processes, not quite in order
    assert events(logs, "api", "land") == ["a", "b", "c", "d", "e"]


def test_rotated_and_compressed_files_come_first(logs: Path) -> None:
    (logs / "api.log").write_text(line(11, "k"), encoding="utf-8")
    (logs / "api.log.1").write_text(line(10, "j"), encoding="utf-8")
    with gzip.open(logs / "api.log.2.gz", "wt", encoding="utf-8") as file:
        file.write(line(2, "b"))
    (logs / "api.log.10").write_text(line(1, "a"), encoding="utf-8")
    (logs / "apis.log").write_text(line(3, "of another service"), encoding="utf-8")
    assert events(logs, "api") == ["a", "b", "j", "k"]
    assert files.services_with_logs(logs) == ["api", "apis"]


def test_damaged_files_are_read_as_far_as_possible(logs: Path) -> None:
    packed = gzip.compress("".join(line(n, f"{n}") for n in range(20_000)).encode())
    (logs / "api.log.2.gz").write_bytes(packed[: len(packed) // 2])
    (logs / "api.log.1").write_bytes(b"\xff\xfe\n" + line(30_000, "after bytes").encode())
    (logs / "api.log").write_text(line(30_001, "last") + line(30_002, "torn")[:40], encoding="utf-8")
    found = events(logs, "api")
    assert len(found) > 1_000
    assert found[-4:] == ["\ufffd\ufffd", "after bytes", "last", line(30_002, "torn")[:40]]
    assert events(logs / "missing", "api") == []


def test_the_filter(logs: Path) -> None:
    rows = [line(n, f"{n}", level=level) for n, level in enumerate(("DEBUG", "INFO", "WARN", "ERROR", "FATAL"))]
    (logs / "api.log").write_text("".join(rows) + line(9, "of a request", request_id="r-1"), encoding="utf-8")
    assert events(logs, "api", query=Query(severity=severity_of("warn"))) == ["2", "3", "4"]
    second = timedelta(seconds=1)
    assert events(logs, "api", query=Query(since=NOW + second, until=NOW + 3 * second)) == ["1", "2"]
    assert events(logs, "api", query=Query(request_id="r-1")) == ["of a request"]


def test_times_and_durations_have_the_forms_that_operators_write() -> None:
    assert moment("10m", NOW) == NOW - timedelta(minutes=10)
    assert moment("2026-11-29T12:00", NOW) == NOW
    assert moment("2026-11-29T13:00+01:00", NOW) == NOW
    assert moment("2026-11-29", NOW) == NOW - timedelta(hours=12)
    assert duration("1w") == timedelta(days=7)
    for text in ("yesterday", "10", "m", "", "-5m", "10 minutes"):
        with pytest.raises(PermanentError, match="Expected how long ago"):
            moment(text, NOW)


def test_entries_that_are_far_out_of_order_are_not_lost(logs: Path) -> None:
    (logs / "api.log").write_text("".join(line(5_000 - n, f"{n}") for n in range(5_000)), encoding="utf-8")
    assert len(events(logs, "api")) == 5_000
    assert list(in_order([])) == []


class Follower:
    """Follows the logs of a service in a thread."""

    def __init__(self, folder: Path, query: Query = ALL) -> None:
        self.events: list[str] = []
        self._stop = threading.Event()
        self.polls = 0
        self._entries = follow(folder, ["api"], query, wait=self._wait)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _wait(self, _seconds: float) -> None:
        self.polls += 1
        if self._stop.wait(0.01):
            raise KeyboardInterrupt  # as Ctrl-C does

    def _run(self) -> None:
        with suppress(KeyboardInterrupt):
            for entry in self._entries:
                self.events.append(entry.event)

    def poll(self) -> None:
        """Wait for a complete poll."""
        before = self.polls
        until(lambda: self.polls > before + 1, "the files are polled", seconds=10)

    def stop(self) -> list[str]:
        """Return the events until now."""
        if not self._stop.is_set():
            self.poll()
        self._stop.set()
        self._thread.join(10)
        return self.events


@pytest.fixture
def started(logs: Path) -> Iterator[Follower]:
    """A follower of a log that has a line already."""
    (logs / "api.log").write_text(line(0, "before"), encoding="utf-8")
    follower = Follower(logs)
    follower.poll()
    yield follower
    follower.stop()


def append(path: Path, text: str) -> None:
    """Append text, as a service does."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_following_shows_only_new_lines_and_waits_for_the_rest_of_a_line(logs: Path, started: Follower) -> None:
    text = line(1, "a")
    append(logs / "api.log", text[:20])
    started.poll()
    assert started.events == []
    append(logs / "api.log", text[20:])
    assert started.stop() == ["a"]


def test_following_loses_no_line_when_a_file_is_rotated(logs: Path, started: Follower) -> None:
    """hpcloud/tail #127: what was written before the rotation was lost; flori/file-tail #14: the first new lines."""
    path = logs / "api.log"
    append(path, line(1, "before the rotation"))
    path.rename(logs / "api.log.1")
    append(logs / "api.log.1", line(2, "by a process that has it open"))
    append(path, line(3, "first in the new file"))
    started.poll()
    for number in range(4, 7):  # rotated three times between two polls
        (logs / "api.log.1").replace(logs / "api.log.2")
        path.rename(logs / "api.log.1")
        append(path, line(number, f"{number}"))
    found = started.stop()
    assert found[:3] == ["before the rotation", "by a process that has it open", "first in the new file"]
    assert found[-1] == "6"
    assert len(found) == len(set(found))


def test_following_shows_each_line_once_while_files_are_rotated(logs: Path, started: Follower) -> None:
    path, lines = logs / "api.log", 600
    for number in range(lines):
        append(path, line(number, f"{number}"))
        if number % 25 == 0:  # as the supervisor does: three older files are kept
            for older in (3, 2):
                with suppress(FileNotFoundError):
                    (logs / f"api.log.{older - 1}").replace(logs / f"api.log.{older}")
            path.rename(logs / "api.log.1")
            append(path, "")
            started.poll()
    assert started.stop() == [f"{number}" for number in range(lines)]


def test_following_starts_again_when_a_file_is_truncated(logs: Path, started: Follower) -> None:
    """google/cadvisor #1536, google/mtail #63: after `copytruncate`, nothing was read, or from a wrong position."""
    append(logs / "api.log", line(1, "a") * 3)
    started.poll()
    (logs / "api.log").write_text(line(2, "after"), encoding="utf-8")
    assert started.stop() == ["a", "a", "a", "after"]


def test_following_begins_when_the_file_appears(logs: Path) -> None:
    follower = Follower(logs)
    follower.poll()
    append(logs / "api.log", line(1, "first"))
    assert follower.stop() == ["first"]


def test_following_since_a_time_shows_what_was_before_once(logs: Path) -> None:
    (logs / "api.log.1").write_text(line(1, "old") + line(5, "rotated"), encoding="utf-8")
    (logs / "api.log").write_text(line(6, "current"), encoding="utf-8")
    follower = Follower(logs, Query(since=NOW + timedelta(seconds=5)))
    follower.poll()
    append(logs / "api.log", line(7, "new"))
    assert follower.stop() == ["rotated", "current", "new"]


def okr(state: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `okr logs`."""
    environment = {"OKR_STATE": str(state), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-I", "-m", "lakehouse.cli", "logs", *arguments]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, **options
    )


def test_the_command_prints_text_or_json_without_secrets(logs: Path) -> None:
    text = line(1, "a\x1b[2J", request_id="r-1") + "postgresql://u:planted@db/okr\n" + line(2, "b", password="planted")
    (logs / "api.log").write_text(text, encoding="utf-8")
    shown = okr(logs.parent)
    assert shown.stdout.splitlines() == [
        "2026-11-29T12:00:01.000Z INFO  api m: a\\x1b[2J request_id=r-1",
        "2026-11-29T12:00:01.000Z INFO  api: postgresql://u:***@db/okr",
        "2026-11-29T12:00:02.000Z INFO  api m: b password=***",
    ]
    rows = [json.loads(each) for each in okr(logs.parent, "--json", "--service", "api,land").stdout.splitlines()]
    assert [(row["event"], row.get("parsed", True)) for row in rows] == [
        ("a\x1b[2J", True), ("postgresql://u:***@db/okr", False), ("b", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--service apis", "There is no service 'apis'. Known services: postgres, kafka,"),
        ("--level loud", "There is no level 'loud'. Expected one of DEBUG, INFO, WARN, ERROR, FATAL."),
        ("--since noon", "'noon' is not a time."),
        ("--store", "OKR_LOGS_URL is empty"),
        ("level postgres DEBUG", "Expected one of api, land, state, metrics, guard"),
        ("level api", "Expected either a level, such as DEBUG, or --reset."),
        ("level api loud", "'loud' is not a log level."),
        ("level api DEBUG --for 2d", "at most 1 day"),
    ],
)
def test_errors_say_what_is_possible(
    arguments: str, expected: str, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKR_STATE", str(logs.parent))
    with pytest.raises(PermanentError, match=re.escape(expected)):
        get_command(group)(arguments.split(), standalone_mode=False)


def test_the_reader_of_a_pipe_may_stop_early(logs: Path) -> None:
    (logs / "api.log").write_text("".join(line(n, "x" * 200) for n in range(5_000)), encoding="utf-8")
    command = f"set -o pipefail; {sys.executable} -I -m lakehouse.cli logs | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], env={"OKR_STATE": str(logs.parent), "PATH": os.environ["PATH"]}, cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)


def test_a_level_is_changed_and_reset(logs: Path) -> None:
    state = logs.parent
    done = okr(state, "level", "api", "INFO,serving.auth=DEBUG", "--for", "5m")
    assert "api logs INFO,serving.auth=DEBUG within 2 s, until" in done.stdout
    file = state / "run" / "api" / "log-level"
    content = json.loads(file.read_text(encoding="utf-8"))
    assert (content["rules"], content["for_s"]) == ("INFO,serving.auth=DEBUG", 300)
    okr(state, "level", "api", "--reset")
    assert not file.exists()


def test_old_logs_are_deleted_but_not_current_ones(logs: Path) -> None:
    task = logs / "airflow" / "dag_id=a" / "run_id=b" / "task_id=c" / "attempt=1.log"
    task.parent.mkdir(parents=True)
    old, new = [logs / "api.log", logs / "api.log.1", task], [logs / "land.log.1", logs / "notes.txt"]
    for path in (*old, *new):
        path.write_text("x", encoding="utf-8")
    month_ago = time.time() - 31 * 86_400
    for path in old:
        os.utime(path, (month_ago, month_ago))
    assert "Deleted 2 files" in okr(logs.parent, "prune").stdout
    assert (logs / "api.log").exists()
    assert not (logs / "api.log.1").exists()
    assert not (logs / "airflow" / "dag_id=a").exists()
    assert all(path.exists() for path in new)
