"""`okr server`: what the systemd units of Airflow and MLflow run."""

from collections.abc import Mapping
from typing import Annotated

import typer

group = typer.Typer(no_args_is_help=True, help="Run Airflow and MLflow on a server (used by their systemd units).")


@group.command()
def run(name: Annotated[str, typer.Argument(help="airflow-api-server, airflow-scheduler, ..., or mlflow.")]) -> None:
    """Replace this process with a service of Airflow or MLflow, with the settings and secrets of its unit."""
    from infra.server.tool_services import SERVICES, replace_process
    from lakehouse.settings import load_settings

    _check(name, SERVICES)
    replace_process(name, load_settings())


@group.command("migrate")
def migrate_database(name: Annotated[str, typer.Argument(help="airflow-database or mlflow-database.")]) -> None:
    """Migrate the database of Airflow or MLflow to the installed version. It is fast if there is nothing to do."""
    from infra.server.tool_services import DATABASES, migrate
    from lakehouse.settings import load_settings

    _check(name, DATABASES)
    migrate(name, load_settings())
    typer.echo(f"The {name} is migrated.")


def _check(name: str, known: Mapping[str, object]) -> None:
    from lakehouse.errors import PermanentError

    if name not in known:
        raise PermanentError(f"There is no {name!r}. Expected one of {', '.join(known)}.")
