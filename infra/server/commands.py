"""`okr server`: what the systemd units of Airflow and MLflow run."""

from typing import Annotated

import typer

group = typer.Typer(no_args_is_help=True, help="Run Airflow and MLflow on a server (used by their systemd units).")


@group.callback()
def _group() -> None:
    """Keep `run` a subcommand, although it is the only one."""


@group.command()
def run(name: Annotated[str, typer.Argument(help="airflow-api-server, airflow-scheduler, ..., or mlflow.")]) -> None:
    """Replace this process with a service of Airflow or MLflow, with the settings and secrets of its unit.

    Before, migrate the database of the service to the installed version, which is fast if there is nothing to do.
    """
    from infra.server.tool_services import SERVICES, replace_process
    from lakehouse.errors import PermanentError
    from lakehouse.settings import load_settings

    if name not in SERVICES:
        raise PermanentError(f"There is no service {name!r}. Expected one of {', '.join(SERVICES)}.")
    replace_process(name, load_settings())
