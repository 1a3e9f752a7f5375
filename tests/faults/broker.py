"""A broker of one test alone, which may be killed, restarted, or replaced by another."""

import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from infra.local.kafka import SERVER_SETTINGS, Kafka
from infra.local.kafka_jars import fetch
from infra.local.stack import prepare_stack
from lakehouse.errors import RetryableError
from lakehouse.settings import Settings
from tests.faults.waiting import until


class OwnBroker:
    """One Kafka broker in `folder`, with the platform's topics. `kill` is SIGKILL; `start` brings it up again."""

    def __init__(self, folder: Path) -> None:
        fetch(print)
        self._service = Kafka(prepare_stack(folder))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Return its address, the same after a restart."""
        return self._service.stack.env["OKR_KAFKA_BOOTSTRAP"]

    def settings(self, others: Settings, lake: Path) -> Settings:
        """Return `others` with this broker and a lake folder."""
        return others.model_copy(update={"kafka_bootstrap": self.bootstrap, "lake_uri": str(lake), "airflow_url": ""})

    def start(self) -> None:
        """Start it and wait until it answers and has the topics."""
        with pytest.MonkeyPatch.context() as patch:
            # As the session's broker: killed workers' partitions may wait for less than 6 s.
            patch.setitem(SERVER_SETTINGS, "group.min.session.timeout.ms", "1000")
            self._service.prepare()
        log = self._service.stack.folder("logs") / "kafka.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._service.command(),
                env=self._service.environment(),
                cwd=self._service.working_folder(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(self._answers, f"the broker answers; see {log}", pause=0.05)
        self._service.after_start()

    def kill(self) -> None:
        """SIGKILL the broker."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the broker ended while starting"
        try:
            self._service.check()
        except RetryableError:
            return False
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
