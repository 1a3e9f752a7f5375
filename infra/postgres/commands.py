"""`okr postgres`: roles and databases on the host of PostgreSQL."""

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(no_args_is_help=True, help="Create the platform's roles and databases on the host of PostgreSQL.")


@group.callback()
def _group() -> None:
    """Keep `roles` a subcommand, although it is the only one."""


@group.command()
def roles(
    psql: Annotated[str, typer.Option(help="The program psql, by name or path.")] = "psql",
    socket_folder: Annotated[Path, typer.Option(help="The folder of the server's socket.")] = Path(
        "/var/run/postgresql"
    ),
) -> None:
    """Create missing roles and databases, and set the passwords of all roles to those in the settings.

    Run it as root on the host of PostgreSQL: it logs in through the server's socket. It can be repeated.
    """
    from infra.postgres.roles import create_roles
    from lakehouse.settings import load_settings

    create_roles(load_settings(), psql, socket_folder)
    typer.echo("The databases okr, airflow and mlflow exist, and all roles have their passwords.")
