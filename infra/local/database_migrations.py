"""Migrations of the warehouse, Airflow and MLflow, which run before any service uses these databases.

The migrations of Airflow and MLflow take seconds even if there is nothing to do. Therefore the last revision is
recorded together with the version of the tool, and the migration is skipped if neither has changed.
"""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from infra.local.airflow import airflow_environment
from infra.local.executables import program
from infra.local.mlflow import mlflow_environment
from infra.local.stack import Stack
from lakehouse.errors import PermanentError
from lakehouse.warehouse import connect

MAX_MIGRATION_SECONDS = 180


class Database(ABC):
    """One database's schema."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("postgres",)

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    @abstractmethod
    def migrate(self, before: Callable[[], None]) -> None:
        """Migrate the schema to the newest revision. If any migration is outstanding, call `before` first.

        Raises:
            PermanentError: the migration failed; it can be retried.
        """


class Warehouse(Database):
    """The project's own database, which infra/migrations migrates."""

    name: ClassVar[str] = "warehouse"

    def migrate(self, before: Callable[[], None]) -> None:
        """Run the project's migrations, which are fast if there is nothing to do."""
        from infra.migrations.migrate import migrate

        migrate(self.stack.env["OKR_DSN_OWNER"], before=before)


class ToolDatabase(Database):
    """The database of a tool that has its own migrations."""

    package: ClassVar[str]
    dsn: ClassVar[str]

    @abstractmethod
    def command(self) -> list[str]:
        """Return the tool's migration command."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the tool's environment."""

    def migrate(self, before: Callable[[], None]) -> None:
        """Run the tool's migration unless the recorded revision shows that there is nothing to do."""
        if (
            self._revision_file.is_file()
            and self._revision_file.read_text(encoding="utf-8") == self._current_revision()
        ):
            return
        before()
        log = self.stack.folder("logs") / f"{self.name}.log"
        with log.open("ab") as output:
            try:
                result = subprocess.run(
                    self.command(), env=self.environment(), cwd=self.stack.folder("run", self.name), check=False,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=MAX_MIGRATION_SECONDS,
                )  # fmt: skip
            except subprocess.TimeoutExpired as error:
                raise PermanentError(
                    f"{self.name}: the migration took over {MAX_MIGRATION_SECONDS} s; see {log}"
                ) from error
        if result.returncode != 0:
            raise PermanentError(f"{self.name}: the migration exited with status {result.returncode}; see {log}")
        self._revision_file.write_text(self._current_revision(), encoding="utf-8")

    @property
    def _revision_file(self) -> Path:
        return self.stack.folder("run", self.name) / "revision"

    def _current_revision(self) -> str:
        """Return the tool's version and the revisions of its database."""
        with connect(self.stack.env[self.dsn], application="okr-up") as connection:
            if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
                return "empty"
            revisions = connection.execute("SELECT version_num FROM alembic_version ORDER BY 1").fetchall()
        return f"{version(self.package)} {revisions}"


class AirflowDatabase(ToolDatabase):
    """Airflow's metadata database."""

    name: ClassVar[str] = "airflow-database"
    package: ClassVar[str] = "apache-airflow"
    dsn: ClassVar[str] = "OKR_AIRFLOW_DSN"

    def command(self) -> list[str]:
        """Return Airflow's migration command."""
        return [program("airflow"), "db", "migrate"]

    def environment(self) -> dict[str, str]:
        """Return Airflow's environment."""
        return airflow_environment(self.stack)


class MlflowDatabase(ToolDatabase):
    """MLflow's tracking store."""

    name: ClassVar[str] = "mlflow-database"
    package: ClassVar[str] = "mlflow"
    dsn: ClassVar[str] = "OKR_MLFLOW_STORE_URI"

    def command(self) -> list[str]:
        """Return MLflow's migration command."""
        return [program("python"), "-m", "infra.local.mlflow_upgrade"]

    def environment(self) -> dict[str, str]:
        """Return MLflow's environment."""
        return mlflow_environment(self.stack)
