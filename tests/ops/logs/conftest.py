"""A host's journal, the shipper and the store of logs: Debian's systemd-journal-remote, and VictoriaLogs.

VictoriaLogs is built once, with Go, into the cache folder (22 MB, about a minute). Without Go, its tests are skipped.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.ports import choose
from tests.ops.conftest import RequirePrograms, missing
from tests.polling import until

MODULE = "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@v1.52.1"
TOOLS = Path("/usr/lib/systemd")
BOOT, MACHINE = f"{1:032x}", f"{2:032x}"


def victoria_logs() -> Path:
    """Return the program, which is built if it is not in the cache."""
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(caches, "okr-lakehouse", "bin")
    program = folder / "victoria-logs"
    if not program.is_file():
        if (go := shutil.which("go")) is None:
            missing(f"needs Go, or VictoriaLogs in {program}: GOBIN={folder} go install {MODULE}")
        subprocess.run([go, "install", MODULE], env=os.environ | {"GOBIN": str(folder)}, check=True)
    return program


class Journal:
    """A journal of a host, to which lines are written as a unit's output."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.written = 0
        command = [TOOLS / "systemd-journal-remote", "--split-mode=none", f"--output={folder / 'system.journal'}", "-"]
        self._writer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def write(self, lines: int, unit: str = "okr-land@1.service", **values: object) -> None:
        """Write numbered lines in the schema."""
        assert self._writer.stdin is not None
        for _ in range(lines):
            n, now = self.written, int(time.time() * 1e6)
            event = {"time": _iso(now), "level": "INFO", "event": "landed", "module": "m", "number": n, **values}
            cursor = f"s={3:032x};i={n + 1:x};b={BOOT};m={n + 1:x};t={now:x};x={n + 1:x}"
            text = (
                f"__CURSOR={cursor}\n__REALTIME_TIMESTAMP={now}\n__MONOTONIC_TIMESTAMP={n + 1}\n_BOOT_ID={BOOT}\n"
                f"_MACHINE_ID={MACHINE}\n_HOSTNAME=app-1\n_SYSTEMD_UNIT={unit}\nPRIORITY=6\nMESSAGE={json.dumps(event)}\n\n"
            )
            self._writer.stdin.write(text.encode())
            self.written += 1
        self._writer.stdin.flush()

    def close(self) -> None:
        """End the writer."""
        assert self._writer.stdin is not None
        self._writer.stdin.close()
        self._writer.wait(20)


class Store:
    """VictoriaLogs on a loopback port, which can be stopped and started again."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder, self.port = program, folder, choose(())
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it responds."""
        command = [
            self._program, f"-storageDataPath={self._folder}", f"-httpListenAddr=127.0.0.1:{self.port}",
            "-memory.allowedBytes=64MB", "-loggerLevel=ERROR", "-inmemoryDataFlushInterval=1s", "-defaultMsgValue=-",
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until(self._responds, "VictoriaLogs responds", seconds=20)

    def kill(self) -> None:
        """Kill it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)
        self._process = None

    def stop(self) -> None:
        """Stop it, as systemd does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        self._process = None

    def _responds(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/health").status_code == 200
        return False

    def count(self, expression: str) -> int:
        """Return a number that LogsQL computes."""
        query = f"* | unpack_json from _msg | stats {expression} n"
        rows = httpx.get(f"{self.url}/select/logsql/query", params={"query": query}).text.splitlines()
        return int(json.loads(rows[0])["n"]) if rows else 0


class Shipper:
    """The shipper, which is started again when it ends, as its unit does (infra/logs/journal-upload.conf.j2)."""

    def __init__(self, journal: Journal, url: str, state: Path, *options: str) -> None:
        self._command = [
            str(TOOLS / "systemd-journal-upload"), f"--directory={journal.folder}", f"--save-state={state}",
            f"--url={url}/insert/journald", *options,
        ]  # fmt: skip
        self._log = state.with_suffix(".log")
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def keep_running(self) -> None:
        """Start it unless it runs."""
        if self._process is None or self._process.poll() is not None:
            self.starts += 1
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End it, and kill it if it does not (systemd #32354)."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@pytest.fixture
def journal(require_programs: RequirePrograms, tmp_path: Path) -> Iterator[Journal]:
    """The journal of a host."""
    require_programs("journalctl")
    if not (TOOLS / "systemd-journal-upload").exists():
        missing("needs Debian's systemd-journal-remote; `.ci/system-packages ops` installs it")
    journal = Journal(tmp_path / "journal")
    yield journal
    journal.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store, which is not started yet."""
    store = Store(victoria_logs(), tmp_path / "store")
    yield store
    store.stop()


def _iso(micros: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(micros / 1e6)) + f".{micros % 1_000_000:06}Z"


def values_of(lines: str) -> list[dict[str, Any]]:
    """Return the objects of JSON lines."""
    return [json.loads(line) for line in lines.splitlines()]
