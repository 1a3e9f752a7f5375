"""`okr serve` as real processes, and load on it that notices every lost request."""

import http.client
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from infra.local.ports import choose
from lakehouse.settings import Settings
from tests.ingestion.crash import environment_of

START_S = 60.0
OKR = [sys.executable, "-I", "-m", "lakehouse.cli"]


@dataclass(frozen=True)
class Served:
    """A running `okr serve`: its supervisor and its port."""

    supervisor: psutil.Process
    port: int
    started_s: float
    """Seconds from the start of the command to the first answer."""

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes."""
        return [each for each in self.supervisor.children() if _is_worker(each)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


@contextmanager
def okr_serve(settings: Settings, folder: Path, *arguments: str, prefix: Sequence[str] = ()) -> Iterator[Served]:
    """Run `okr serve` until the block ends. `prefix` is a command that runs it."""
    port = choose(set())
    environment = environment_of(settings.model_copy(update={"api_port": port}), folder)
    with (folder / "serve.log").open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen([*prefix, *OKR, "serve", *arguments], env=environment, stdout=output, stderr=output)
    try:
        while not answers(port):
            assert process.poll() is None, (folder / "serve.log").read_text()[-3000:]
            assert time.monotonic() - started < START_S, (folder / "serve.log").read_text()[-3000:]
            time.sleep(0.02)
        yield Served(psutil.Process(process.pid), port, time.monotonic() - started)
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


def answers(port: int) -> bool:
    """Return whether the service answers any request."""
    try:
        httpx.get(f"http://127.0.0.1:{port}/livez", timeout=5)
    except httpx.HTTPError:
        return False
    return True


@dataclass
class Load:
    """Requests of several clients. Each keeps its connection as long as the server does."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    """Requests without an answer, on connections that a worker had accepted."""
    refused: int = 0
    """Connections that no worker accepted: refused, or reset before the first answer."""


@contextmanager
def load(port: int, path: str, clients: int = 4) -> Iterator[Load]:
    """Send GET requests while the block runs."""
    found, stop = Load(), threading.Event()
    threads = [threading.Thread(target=_send, args=(found, port, path, stop)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def _send(found: Load, port: int, path: str, stop: threading.Event) -> None:
    connection, is_accepted = http.client.HTTPConnection("127.0.0.1", port, timeout=20), False
    while not stop.is_set():
        try:
            if connection.sock is None:
                is_accepted = False
                connection.connect()
        except OSError:
            found.refused += 1
            time.sleep(0.01)
            continue
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            found.statuses[answer.status] += 1
            is_accepted = True
        except (OSError, http.client.HTTPException) as error:
            if is_accepted:
                found.lost.append(f"{type(error).__name__}: {error}")
            else:
                found.refused += 1
            connection.close()
    connection.close()
