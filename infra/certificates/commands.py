"""`okr certificates`: an own authority for the connections between hosts. It runs on the operator's machine."""

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(no_args_is_help=True, help="Issue certificates for the connections between hosts.")
HostNames = Annotated[list[str] | None, typer.Option(metavar="HOST", help="A host of this zone. Can be repeated.")]


@group.callback()
def _group() -> None:
    """Keep `new` a subcommand, although it is the only one."""


@group.command()
def new(  # noqa: PLR0913, PLR0917 -- options of a command
    folder: Annotated[Path, typer.Argument(help="Where the authority is, with a folder for each host.")],
    edge: HostNames = None,
    app: HostNames = None,
    data: HostNames = None,
    monitoring: HostNames = None,
    public: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The name that people use, unless a public authority issues its certificate."
        ),
    ] = "",
) -> None:
    """Create the authority and the certificates that are missing, and replace those that end within 60 days.

    The folder contains all keys, so keep it on an encrypted disk, away from the hosts.
    """
    from infra.certificates.hosts import Hosts, issue
    from lakehouse.errors import PermanentError

    if not (edge or app or data):
        raise PermanentError("Expected at least one of --edge, --app and --data with the name of a host.")
    issue(folder, Hosts(public, edge or (), app or (), data or (), monitoring or ()), typer.echo)
    typer.echo(f"All certificates in {folder} are valid for more than 60 days.")
