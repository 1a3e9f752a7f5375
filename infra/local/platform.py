"""The platform's own services: each is an `okr` command, kept running."""

from typing import ClassVar

from infra.local.http_check import get_text
from infra.local.project import program
from infra.local.service import Service, platform_environment


class PlatformService(Service):
    """An `okr` command. One without an address counts as healthy when it has outlived its imports and connections."""

    arguments: ClassVar[tuple[str, ...]]
    settle_seconds: ClassVar[int] = 6

    def command(self) -> list[str]:
        """Return the command line."""
        return [program("okr"), *self.arguments]

    def environment(self) -> dict[str, str]:
        """Return the platform's environment, with logs as JSON lines."""
        return platform_environment(self.stack) | {"OKR_LOG_JSON": "true"}

    def check(self) -> None:
        """Return at once: the supervisor sees to it that the process runs."""


class Api(PlatformService):
    """FastAPI: predictions, data, administration, and the scorecard page."""

    name: ClassVar[str] = "api"
    arguments: ClassVar[tuple[str, ...]] = ("serve",)
    needs: ClassVar[tuple[str, ...]] = ("warehouse", "mlflow-database", "redis", "kafka")
    start_limit_seconds: ClassVar[int] = 120
    settle_seconds: ClassVar[int] = 0

    def check(self) -> None:
        """Return when the API answers."""
        get_text(f"{self.stack.env['OKR_API_URL']}/health")


class LandingWorker(PlatformService):
    """Kafka to the lake."""

    name: ClassVar[str] = "land"
    arguments: ClassVar[tuple[str, ...]] = ("consume", "land")
    needs: ClassVar[tuple[str, ...]] = ("kafka",)


class StateWorker(PlatformService):
    """Kafka to the primary database and Redis."""

    name: ClassVar[str] = "state"
    arguments: ClassVar[tuple[str, ...]] = ("consume", "state")
    needs: ClassVar[tuple[str, ...]] = ("kafka", "redis", "warehouse")


class Metrics(PlatformService):
    """The load of this machine, lags and spools, as events."""

    name: ClassVar[str] = "metrics"
    arguments: ClassVar[tuple[str, ...]] = ("produce", "metrics")
    needs: ClassVar[tuple[str, ...]] = ("kafka",)


class Guard(PlatformService):
    """The limits of analysts' sessions, and their logins as they must be."""

    name: ClassVar[str] = "guard"
    arguments: ClassVar[tuple[str, ...]] = ("analyst", "guard")
    needs: ClassVar[tuple[str, ...]] = ("postgres",)
    settle_seconds: ClassVar[int] = 2
