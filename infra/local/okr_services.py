"""The project's own services, each a long-running `okr` command: API, workers, metrics collector and analyst guard."""

from pathlib import Path
from typing import ClassVar

from infra.local.base_service import Service, platform_environment
from infra.local.executables import program
from infra.local.http_check import get_text
from infra.logs.level import level_file
from lakehouse.log_records.levels import FILE
from lakehouse.log_records.schema import SERVICE
from lakehouse.readiness import READY_FILE, is_ready

FIELD_ENCRYPTION_KEY = "OKR_FIELD_ENCRYPTION_KEY"


class OkrService(Service):
    """A service that is an `okr` command."""

    # What it also needs if stack.env has a key for field encryption, which is off unless a developer adds one (ADR 34).
    encryption_secrets: ClassVar[tuple[str, ...]] = ()

    arguments: ClassVar[tuple[str, ...]]
    code: ClassVar[tuple[str, ...]] = ("infra/local/okr_services.py", "lakehouse", "ingestion")

    def command(self) -> list[str]:
        """Return the command line."""
        return [program("okr"), *self.arguments]

    def environment(self) -> dict[str, str]:
        """Return the environment, with logs as JSON lines, whose level can be changed (`okr logs level`)."""
        encryption = self.encryption_secrets if self.stack.env.get(FIELD_ENCRYPTION_KEY) else ()
        logs = {
            "OKR_LOG_JSON": "true", SERVICE: self.name,
            FILE: str(level_file(self.name, self.stack.state, is_server=False)),
        }  # fmt: skip
        return platform_environment(self.stack, (*self.secrets, *encryption)) | logs


class Api(OkrService):
    """The FastAPI server: predictions, data, administration and the scorecard page."""

    name: ClassVar[str] = "api"
    arguments: ClassVar[tuple[str, ...]] = ("serve",)
    kafka_user: ClassVar[str] = "okr-api"
    secrets: ClassVar[tuple[str, ...]] = (
        "OKR_DSN_SERVING", "OKR_DSN_ORGANISATION", "OKR_REDIS_URL", "OKR_JWT_SECRET", "OKR_ADMIN_PASSWORD",
        "OKR_LEAD_PASSWORD", "OKR_APP_PASSWORD", "OKR_METRICS_TOKEN", "OKR_MLFLOW_STORE_URI", "OKR_MLFLOW_PASSWORD",
        # Only for operators, who roll publications back, decide on events and start runs (ADR 27).
        "OKR_DSN_TRANSFORM", "OKR_AIRFLOW_SERVING_PASSWORD",
    )  # fmt: skip
    encryption_secrets: ClassVar[tuple[str, ...]] = (FIELD_ENCRYPTION_KEY,)
    code: ClassVar[tuple[str, ...]] = (*OkrService.code, "expectations", "ml", "serving")
    needs: ClassVar[tuple[str, ...]] = ("warehouse", "mlflow-database", "redis", "kafka")

    def check(self) -> None:
        """Check that the API is ready for requests."""
        get_text(f"{self.stack.env['OKR_API_URL']}/readyz")


class Worker(OkrService):
    """A command without a network address. It is healthy once it has reported in a file that it is ready."""

    # 0, because supervisord would otherwise count an exit with NEEDS_INTERVENTION in the first second as a failed start
    # and retry it.
    start_seconds: ClassVar[int] = 0

    def prepare(self) -> None:
        """Delete the report of an earlier process, whose process id may be reused."""
        self._ready_file.unlink(missing_ok=True)

    def environment(self) -> dict[str, str]:
        """Return the environment, which includes the path of the file for the worker's report."""
        return super().environment() | {READY_FILE: str(self._ready_file)}

    def check(self) -> None:
        """Do nothing: `has_reported` shows whether the worker is healthy."""

    def has_reported(self, pid: int) -> bool:
        """Return whether the process has reported that it is ready."""
        return is_ready(self._ready_file, pid)

    @property
    def _ready_file(self) -> Path:
        return self.working_folder() / "ready"


class LandingWorker(Worker):
    """The landing worker, which writes from Kafka to the lake."""

    name: ClassVar[str] = "land"
    arguments: ClassVar[tuple[str, ...]] = ("consume", "land")
    kafka_user: ClassVar[str] = "okr-land"
    secrets: ClassVar[tuple[str, ...]] = ("OKR_AIRFLOW_LANDING_PASSWORD",)  # to announce landed events
    encryption_secrets: ClassVar[tuple[str, ...]] = (FIELD_ENCRYPTION_KEY, "OKR_DSN_LANDING")
    needs: ClassVar[tuple[str, ...]] = ("kafka",)


class StateWorker(Worker):
    """The state consumer, which writes from Kafka to the state tables (schema `app`) and Redis."""

    name: ClassVar[str] = "state"
    arguments: ClassVar[tuple[str, ...]] = ("consume", "state")
    kafka_user: ClassVar[str] = "okr-state"
    secrets: ClassVar[tuple[str, ...]] = ("OKR_DSN_LOADER", "OKR_REDIS_STATE_URL")
    encryption_secrets: ClassVar[tuple[str, ...]] = (FIELD_ENCRYPTION_KEY,)
    needs: ClassVar[tuple[str, ...]] = ("kafka", "redis", "warehouse")
    # After some migrations, the worker rebuilds the state tables before it is ready.
    start_limit_seconds: ClassVar[int] = 600


class Metrics(Worker):
    """The metrics collector, which sends host load, consumer lag and spool sizes as events."""

    name: ClassVar[str] = "metrics"
    arguments: ClassVar[tuple[str, ...]] = ("produce", "metrics")
    kafka_user: ClassVar[str] = "okr-metrics"
    secrets: ClassVar[tuple[str, ...]] = ("OKR_DSN_METRICS", "OKR_REDIS_METRICS_URL")
    needs: ClassVar[tuple[str, ...]] = ("kafka",)


class Guard(Worker):
    """The guard that enforces the session limits of analysts and resets changed logins."""

    name: ClassVar[str] = "guard"
    arguments: ClassVar[tuple[str, ...]] = ("analyst", "guard")
    # Only a superuser can read and reset a password that a role has changed.
    secrets: ClassVar[tuple[str, ...]] = ("OKR_PG_SUPERUSER_DSN",)
    code: ClassVar[tuple[str, ...]] = (*OkrService.code, "infra/analysts")
    needs: ClassVar[tuple[str, ...]] = ("postgres",)
