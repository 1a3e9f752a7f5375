"""Airflow and MLflow on a server: the same services as in the local stack, with the server's settings and secrets.

A systemd unit gives its process OKR_* variables (/etc/okr/okr.env) and the unit's secrets as credentials.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from infra.local.airflow import AirflowApiServer, AirflowDagProcessor, AirflowScheduler, AirflowTriggerer
from infra.local.base_service import STACK_ID, Service
from infra.local.database_migrations import AirflowDatabase, MlflowDatabase, ToolDatabase
from infra.local.mlflow import Mlflow
from infra.local.stack import Stack
from lakehouse.environment import CREDENTIALS, OWN_PREFIX
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings

SERVICES: Mapping[str, type[Service]] = {
    kind.name: kind for kind in (AirflowApiServer, AirflowScheduler, AirflowDagProcessor, AirflowTriggerer, Mlflow)
}
DATABASES: Mapping[str, type[ToolDatabase]] = {kind.name: kind for kind in (AirflowDatabase, MlflowDatabase)}


def replace_process(name: str, settings: Settings) -> NoReturn:
    """Migrate the database of a service to the installed version, and replace this process with the service.

    Raises:
        PermanentError: a secret or the program is missing, or the migration failed; the message names its log.
        RetryableError: the database cannot be reached.
    """
    stack = _stack(settings)
    this_service = SERVICES[name](stack)
    try:
        _migrate(this_service, stack)
        this_service.prepare()
        command, environment = this_service.command(), this_service.environment()
    except KeyError as error:
        raise _missing(error) from error
    os.chdir(this_service.working_folder())
    os.execve(command[0], command, environment)  # noqa: S606 -- our own program, without a shell


def _migrate(this_service: Service, stack: Stack) -> None:
    """Migrate once for all services of this host that start at the same time."""
    (database,) = (kind(stack) for name, kind in DATABASES.items() if name in this_service.needs)
    with (stack.folder("run", database.name) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        database.migrate(lambda: None)


def _stack(settings: Settings) -> Stack:
    values = {name: value for name, value in os.environ.items() if name.startswith(OWN_PREFIX)}
    logins = ("airflow_user", "airflow_serving_user", "airflow_landing_user", "mlflow_user")
    defaults = {f"OKR_{name.upper()}": str(getattr(settings, name)) for name in logins}
    return Stack(settings.state, {STACK_ID: "server"} | defaults | values | _credentials())


def _credentials() -> dict[str, str]:
    folder = os.environ.get(CREDENTIALS)
    files = Path(folder).glob("okr_*") if folder else ()
    return {file.name.upper(): file.read_text(encoding="utf-8").removesuffix("\n") for file in files}


def _missing(error: KeyError) -> PermanentError:
    name = str(error.args[0])
    return PermanentError(
        f"{name} is missing. Set it in /etc/okr/okr.env, or, if it is secret, in the file "
        f"/etc/okr/secrets/{name.lower()}, which the unit must load (LoadCredential)."
    )
