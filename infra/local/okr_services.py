"""The platform's own services: each is an `okr` command, kept running."""

from pathlib import Path
from typing import ClassVar

from infra.local.base_service import Service, platform_environment
from infra.local.executables import program
from infra.local.http_check import get_text
from lakehouse.readiness import READY_FILE, is_ready


class PlatformService(Service):
    """An `okr` command."""

    arguments: ClassVar[tuple[str, ...]]

    def command(self) -> list[str]:
        """Return the command line."""
        return [program("okr"), *self.arguments]

    def environment(self) -> dict[str, str]:
        """Return the platform's environment, with logs as JSON lines."""
        return platform_environment(self.stack) | {"OKR_LOG_JSON": "true"}


class Api(PlatformService):
    """FastAPI: predictions, data, administration, and the scorecard page."""

    name: ClassVar[str] = "api"
    arguments: ClassVar[tuple[str, ...]] = ("serve",)
    needs: ClassVar[tuple[str, ...]] = ("warehouse", "mlflow-database", "redis", "kafka")
    start_limit_seconds: ClassVar[int] = 120

    def check(self) -> None:
        """Return when the API answers."""
        get_text(f"{self.stack.env['OKR_API_URL']}/health")


class Worker(PlatformService):
    """A command without an address: it is healthy when it has reported that it is at work."""

    start_seconds: ClassVar[int] = 0  # on a quick machine it refuses for good within a second

    def prepare(self) -> None:
        """Forget what an earlier life reported: process ids come again."""
        self._ready_file.unlink(missing_ok=True)

    def environment(self) -> dict[str, str]:
        """Return the platform's environment, and the file to report in."""
        return super().environment() | {READY_FILE: str(self._ready_file)}

    def check(self) -> None:
        """Return at once: `has_reported` tells."""

    def has_reported(self, pid: int) -> bool:
        """Tell whether the process has its connections and is at work."""
        return is_ready(self._ready_file, pid)

    @property
    def _ready_file(self) -> Path:
        return self.working_folder() / "ready"


class LandingWorker(Worker):
    """Kafka to the lake."""

    name: ClassVar[str] = "land"
    arguments: ClassVar[tuple[str, ...]] = ("consume", "land")
    needs: ClassVar[tuple[str, ...]] = ("kafka",)


class StateWorker(Worker):
    """Kafka to the primary database and Redis."""

    name: ClassVar[str] = "state"
    arguments: ClassVar[tuple[str, ...]] = ("consume", "state")
    needs: ClassVar[tuple[str, ...]] = ("kafka", "redis", "warehouse")
    start_limit_seconds: ClassVar[int] = 600  # after some migrations it makes all state again before it reports


class Metrics(Worker):
    """The load of this machine, lags and spools, as events."""

    name: ClassVar[str] = "metrics"
    arguments: ClassVar[tuple[str, ...]] = ("produce", "metrics")
    needs: ClassVar[tuple[str, ...]] = ("kafka",)


class Guard(Worker):
    """The limits of analysts' sessions, and their logins as they must be."""

    name: ClassVar[str] = "guard"
    arguments: ClassVar[tuple[str, ...]] = ("analyst", "guard")
    needs: ClassVar[tuple[str, ...]] = ("postgres",)
