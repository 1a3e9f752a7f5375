"""`okr` as a process of its own that a test can kill, forked from a process that has imported our code already."""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = [  # what `okr deploy` imports, most of its start
    "lakehouse.cli", "lakehouse.configuration.commands", "lakehouse.configuration.requirements", "infra.commands",
    "ingestion.commands", "ml.commands", "serving.commands", "expectations.commands", "infra.deploy.deployment",
    "infra.deploy.child_units", "psycopg", "httpx", "httpcore", "prometheus_client.parser",
    "tests.faults.fault_injection",
]  # fmt: skip
CONTEXT.set_forkserver_preload(PRELOADED)
END_S = 120


class Command:
    """A running `okr <arguments>`. `arm` is code that runs first, with the names of tests.faults.fault_injection."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, arm: str = "") -> None:
        self._log = log
        log.unlink(missing_ok=True)
        self._process = CONTEXT.Process(target=_run, args=(list(arguments), dict(environment), str(log), arm))
        self._process.start()
        self.pid = self._process.pid

    def ended(self) -> tuple[int, str]:
        """Wait until it has ended; return its exit status (-9 if it was killed) and what it printed."""
        self._process.join(END_S)
        status = self._process.exitcode
        assert status is not None, f"it did not end: {self._said()}"
        return status, self._said()

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8")


def _run(arguments: list[str], environment: dict[str, str], log: str, arm: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    names: dict[str, object] = {}
    exec(f"from tests.faults.fault_injection import *\n{arm}", names)  # noqa: S102 -- code of our tests
    from lakehouse.cli import main

    sys.argv = ["okr", *arguments]
    main()
    sys.stdout.flush()
