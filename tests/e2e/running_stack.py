"""Helpers with which the end-to-end tests drive a running stack."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from infra.local.processes import stack_processes
from infra.local.stack import Stack
from lakehouse.settings import Settings
from tests import hostile_environment
from tests.okr_command import OKR
from tests.polling import until


@dataclass
class Running:
    """A stack started and filled by `okr demo --scale small`; `output` is the output of the demo."""

    stack: Stack
    settings: Settings
    output: str

    def okr(self, *arguments: str, check: bool = True) -> str:
        """Run a command as a user of this stack would."""
        answer = run_okr(self.stack.state, *arguments)
        assert not check or answer.returncode == 0, answer.stderr
        return answer.stdout

    def kill(self, *words: str) -> None:
        """Wait until a process has all the words in its command line, and SIGKILL all such processes."""
        found: list[psutil.Process] = []

        def is_there() -> bool:
            found[:] = [each for each in stack_processes(self.stack) if all(word in _title(each) for word in words)]
            return bool(found)

        wait_until(f"a process of the stack with {words} in its command line", is_there)
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def run_okr(state: Path, *arguments: str, limit_s: float = 600) -> "subprocess.CompletedProcess[str]":
    """Run a command of the stack from a shell whose variables could misdirect it (issue 10, E)."""
    hostile = hostile_environment.variables(state.parent / "hostile")
    environment = hostile | {"PATH": os.environ["PATH"], "OKR_STATE": str(state)}
    return subprocess.run(
        [OKR, *arguments], env=environment, capture_output=True, encoding="utf-8", errors="replace", check=False,
        timeout=limit_s,
    )  # fmt: skip


def wait_until(what: str, holds: Callable[[], bool], limit_s: float = 90) -> None:
    """Wait for a condition that takes a second or more to check."""
    until(holds, what, seconds=limit_s, pause=1)


def analyst(running: Running, query: str) -> list[Any]:
    """Run a query as the stack's analyst and return all rows."""
    with psycopg.connect(running.settings.require("dsn_analyst")) as connection:
        return connection.execute(query.encode()).fetchall()
