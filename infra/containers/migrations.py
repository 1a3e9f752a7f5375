"""The job `migrate`: it migrates the databases while services of the earlier release may use them."""

import os
import subprocess
import sys
from collections.abc import Callable

from infra.containers.secrets_folder import read_secret
from infra.local.executables import program
from infra.migrations.migrate import LIMITS, migrate
from infra.migrations.online import migrate_online
from infra.migrations.revisions import current_revision, scripts
from infra.migrations.transactions import transaction
from lakehouse.errors import PermanentError
from lakehouse.settings import load_settings
from lakehouse.warehouse import sqlalchemy_url


def migrate_everything() -> None:
    """Migrate the warehouse, Airflow's database and MLflow's store, one after the other.

    Raises:
        RetryableError: the warehouse cannot be reached, or its tables remained locked.
        PermanentError: a migration failed. It was rolled back, and the earlier ones remain.
    """
    migrate_warehouse(load_settings().require("dsn_owner"), _say)
    _run("Airflow's database", [program("airflow"), "db", "migrate"], {})
    store = sqlalchemy_url(read_secret("okr_mlflow_store_uri"), "mlflow", driver="psycopg2", limits=None)
    upgrade = [program("python"), "-m", "infra.local.mlflow_upgrade"]
    _run("MLflow's store", upgrade, {"MLFLOW_BACKEND_STORE_URI": store})


def migrate_warehouse(dsn_owner: str, say: Callable[[str], None]) -> str:
    """Run the outstanding revisions that expand the schema, and return the warehouse's revision.

    An empty database, which nobody uses, gets all revisions. If this release does not know the revision, a later one
    has migrated, and this is the way back from it: a release works on the schema of the next one.

    Raises:
        RetryableError: the database cannot be reached, or a table remained locked.
        PermanentError: a revision failed and was rolled back.
    """
    with transaction(dsn_owner, LIMITS) as (connection, _):
        before = current_revision(connection)
    if before is None:
        revision = migrate(dsn_owner)
    elif before in {script.revision for script in scripts().walk_revisions()}:
        revision = migrate_online(dsn_owner, say=say)
    else:
        say(f"A later release has migrated the warehouse to revision {before}, so there is nothing to do.")
        return before
    say(f"The warehouse is at revision {revision}.")
    return revision


def _run(name: str, command: list[str], variables: dict[str, str]) -> None:
    if subprocess.run(command, env=os.environ | variables, check=False).returncode != 0:
        raise PermanentError(f"The migration of {name} failed; see above. Fix the cause and start this job again.")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
