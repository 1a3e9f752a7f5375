"""PostgreSQL and Redis for a single test, which can kill and restart them."""

import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import redis

from infra.local.base_service import Service
from infra.local.postgres import Postgres
from infra.local.redis import Redis
from infra.local.stack import prepare_stack
from infra.migrations.migrate import migrate
from lakehouse.errors import RetryableError
from lakehouse.settings import Settings, load_settings
from tests.databases import DSNS
from tests.polling import until
from tests.redis_admin import admin_of


class OwnService:
    """A service in its own folder. `kill` stops it immediately; `start` restarts it with its data."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; child processes of a killed server may delay the start."""
        until(self._has_started, f"{self._service.name} answers", pause=0.1)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal that ends it without a shutdown, and wait until it has ended."""
        assert self._process is not None
        os.killpg(self._process.pid, number)
        self._process.wait(60)

    def freeze(self) -> None:
        """Stop it and its child processes with SIGSTOP. Its kernel still accepts connections and answers keepalives."""
        for process in self._processes():
            process.suspend()

    def thaw(self) -> None:
        """Let it continue after `freeze`."""
        for process in self._processes():
            process.resume()

    def settings(self) -> Settings:
        """Return its settings."""
        return load_settings(Path(self._service.stack.state))

    def _processes(self) -> list[psutil.Process]:
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def _has_started(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            self._service.prepare()
            with (self._service.stack.folder("logs") / f"{self._service.name}.log").open("ab") as output:
                self._process = subprocess.Popen(
                    self._service.command(),
                    env=self._service.environment(),
                    cwd=self._service.working_folder(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
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
            self.kill(signal.SIGTERM if self._service.name == "redis" else signal.SIGQUIT)


class OwnPostgres(OwnService):
    """PostgreSQL with the migrated warehouse."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Postgres(prepare_stack(folder)))

    def __enter__(self) -> Self:
        self.start()
        self._service.after_start()
        migrate(self.settings().require("dsn_owner"))
        return self

    def instead_of(self, settings: Settings) -> Settings:
        """Return settings with this server as the warehouse."""
        own = self.settings()
        return settings.model_copy(update={name: getattr(own, name) for name in DSNS})


class OwnRedis(OwnService):
    """Redis, which is empty after it was killed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Redis(prepare_stack(folder)))

    def instead_of(self, settings: Settings) -> Settings:
        """Return settings with this server for the figures."""
        own = self.settings()
        return settings.model_copy(update={"redis_url": own.redis_url, "redis_state_url": own.redis_state_url})

    def admin(self) -> redis.Redis:
        """Return a client that may do everything."""
        return admin_of(self._service.stack)
