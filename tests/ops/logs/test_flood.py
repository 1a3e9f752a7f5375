"""A flood of log lines takes a bounded part of the disk, and the newest lines are kept in order."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.local import supervisor
from infra.local.okr_services import LandingWorker
from infra.logs import files
from infra.logs.query import Query
from tests.figures import report
from tests.polling import until

LINES = 20_000
FLOOD = f"""
import sys, time
from lakehouse.logs import configure_logging, get_logger
configure_logging(as_json=True)
for number in range({LINES}):
    get_logger("m").info("flood", number=number, text="x" * 100)
time.sleep(600)
"""


def test_a_flood_is_rotated_within_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, backups = 200_000, supervisor.LOG_BACKUPS
    monkeypatch.setattr(supervisor, "MAX_LOG_BYTES", str(limit))
    code, settings, logs = tmp_path / "flood.py", tmp_path / "supervisord.conf", tmp_path / "logs"
    code.write_text(FLOOD, encoding="utf-8")
    logs.mkdir()
    section = [
        line.partition("=")[0] + f"={sys.executable} {code}" if line.startswith("command=") else line
        for line in supervisor._program_section(LandingWorker, logs)
    ]
    root = Path(__file__).parents[3]
    lines = [
        "[supervisord]", f"logfile={logs / 'supervisord.log'}", f"pidfile={tmp_path / 'pid'}",
        f"environment=PYTHONPATH={root}", *section,
    ]  # fmt: skip
    settings.write_text("\n".join(lines).replace("autostart=false", "autostart=true") + "\n", encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "--nodaemon", "-c", settings]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    largest = 0

    def has_ended() -> bool:
        nonlocal largest
        largest = max(largest, sum(path.stat().st_size for path in files.files_of(logs, "land")))
        current = logs / "land.log"
        return current.exists() and f'"number":{LINES - 1}'.encode() in current.read_bytes()

    try:
        until(has_ended, "the last line is written", seconds=60, pause=0.02)
    finally:
        process.terminate()
        process.wait(20)
    assert (backups + 1) * limit * 3 < LINES * 200, "the flood is much larger than the limit"
    # The supervisor looks at the size after each read from the pipe, of at most 128 KiB.
    assert largest <= (backups + 1) * (limit + 131_072)
    numbers = [entry.fields["number"] for entry in files.read(logs, ["land"], Query()) if entry.is_parsed]
    assert numbers[-1] == LINES - 1
    assert numbers == list(range(numbers[0], LINES)), "no line is missing or torn among those that are kept"
    report(
        "A flood of log lines", ["what", "figure"],
        [["lines per second through the supervisor", f"{LINES / (time.monotonic() - started):,.0f}"],
         ["largest size on disk", f"{largest / ((backups + 1) * limit):.0%} of the limit"]],
        "One service that logs without a pause, local stack.",
    )  # fmt: skip
