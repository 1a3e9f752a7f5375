"""A warehouse for the time of a benchmark: an embedded PostgreSQL in a temporary folder, and dbt."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg import sql

from infra.local.base_service import platform_environment
from infra.local.postgres import Postgres
from infra.local.stack import Stack, prepare_stack
from infra.local.unsupervised import running
from infra.migrations.migrate import migrate
from ingestion.contract_validation import DecodedEvent
from ingestion.loading.direct import copy_events
from lakehouse.contracts import TOPICS
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings, load_settings
from lakehouse.warehouse import connect, dbt_environment
from ml.feature_mart import read_history
from ml.feature_rows import Rows

DBT_PROJECT = Path(__file__).parents[2] / "dbt_project"
DBT_LIMIT_SECONDS = 600
SHOWN_LINES = 15  # of dbt's output, when it fails


@dataclass(frozen=True)
class TemporaryWarehouse:
    """A migrated warehouse that holds the events of one folder at a time."""

    stack: Stack
    settings: Settings

    def history_of(self, events: Iterable[DecodedEvent]) -> Rows:
        """Return the feature rows of these events with their outcomes, built by the same dbt models as in production.

        The quality gates do not run, so no event is withheld because of its value.

        Raises:
            PermanentError: dbt failed.
        """
        with connect(self.settings.require("dsn_loader"), application="okr-benchmark") as connection:
            for topic in TOPICS:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("raw", topic)))
        copy_events(self.settings, events)
        with connect(self.settings.require("dsn_loader"), application="okr-benchmark", autocommit=True) as connection:
            connection.execute("ANALYZE raw.okr_user_events")  # as after a large load
        self._build_features()
        with connect(self.settings.require("dsn_serving"), application="okr-benchmark") as connection:
            return read_history(connection)

    def _build_features(self) -> None:
        """Build the feature mart under the names that readers use (`--target published`), without a publication."""
        target = self.stack.folder("dbt")
        command: list[str | Path] = [
            Path(sys.executable).parent / "dbt", "build", "--exclude-resource-type=unit_test", "--target=published",
            "--select=+path:models/ml", f"--project-dir={DBT_PROJECT}", f"--profiles-dir={DBT_PROJECT}",
            f"--target-path={target}", f"--log-path={target}",
        ]  # fmt: skip
        environment = platform_environment(self.stack, ()) | dbt_environment(self.settings)
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False, timeout=DBT_LIMIT_SECONDS
            )
        except FileNotFoundError as error:
            raise PermanentError(f"{command[0]} does not exist. Run the benchmark where `make demo` runs.") from error
        except subprocess.TimeoutExpired as error:
            raise PermanentError(f"dbt did not build the features within {DBT_LIMIT_SECONDS} s.") from error
        if done.returncode != 0:
            last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-SHOWN_LINES:])
            raise PermanentError(f"dbt could not build the features (exit status {done.returncode}):\n{last}")


@contextmanager
def temporary_warehouse() -> Iterator[TemporaryWarehouse]:
    """Start an embedded PostgreSQL with the warehouse's schema; stop and delete it when the context ends.

    Raises:
        RetryableError: PostgreSQL did not start.
        PermanentError: the temporary folder cannot be used.
    """
    with TemporaryDirectory(prefix="okr-benchmark-") as folder:
        stack = prepare_stack(Path(folder) / "state")
        server = Postgres(stack)
        with running(server):
            server.after_start()
            settings = load_settings(stack.state)
            migrate(settings.require("dsn_owner"))
            yield TemporaryWarehouse(stack, settings)
