"""Constant load on the serving colour through the link that nginx uses, from clients that do not retry."""

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PAUSE_S = 0.01


class UnixConnection(http.client.HTTPConnection):
    """A connection to a UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


def listens(path: Path) -> bool:
    """Return whether a process accepts connections to a socket; the file alone may be of an earlier process."""
    connection = UnixConnection(path)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def get(path: Path, target: str) -> object:
    """Return an answer in JSON."""
    connection = UnixConnection(path)
    try:
        connection.request("GET", target)
        return json.load(connection.getresponse())
    finally:
        connection.close()


@dataclass
class Answers:
    """What the clients got: requests by status and body, and failures."""

    counts: Counter[tuple[int, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The number of requests."""
        return sum(self.counts.values()) + len(self.failures)

    def failed(self) -> list[str]:
        """Return what was not answered with 200."""
        return [*self.failures, *(f"{count} x {key}" for key, count in self.counts.items() if key[0] != 200)]


@contextmanager
def constant_load(path: Path, method: str = "POST", target: str = "/predict", clients: int = 3) -> Iterator[Answers]:
    """Send requests through a socket, each on a new connection as nginx does, while the block runs."""
    answers, stop = Answers(), threading.Event()
    threads = [threading.Thread(target=_send, args=(path, answers, stop, method, target)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def _send(path: Path, answers: Answers, stop: threading.Event, method: str, target: str) -> None:
    body = json.dumps({"features": {}}) if method == "POST" else None
    while not stop.is_set():
        connection = UnixConnection(path)
        try:
            connection.request(method, target, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read().decode()
            answers.counts[answer.status, said if len(said) < 200 else ""] += 1
        except (OSError, http.client.HTTPException) as error:
            answers.failures.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()
        time.sleep(PAUSE_S)
