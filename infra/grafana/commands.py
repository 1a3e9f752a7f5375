"""`okr grafana`: write the dashboards."""

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.errors import PermanentError

group = typer.Typer(no_args_is_help=True, help="Write the dashboards for Grafana.")


@group.callback()
def _group() -> None:
    """Make `dashboards` a subcommand, although it is the only one."""


@group.command()
def dashboards(
    out: Annotated[
        Path | None, typer.Option(help="Folder of the JSON files. Default: infra/grafana/dashboards.")
    ] = None,
) -> None:
    """Write the dashboards as JSON files. Run this after a change to infra/grafana/boards."""
    try:
        from infra.grafana.generate import COMMITTED, write
    except ModuleNotFoundError as error:
        raise PermanentError(
            f"{error.name} is not installed here: this command belongs to development (`make .venv/.dev-ready`). "
            "Servers use the files in infra/grafana/dashboards."
        ) from error
    for file in write(out or COMMITTED):
        typer.echo(str(file))
