"""`okr installation`: audit a running installation, and show the rights of its database roles."""

import json
from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(no_args_is_help=True, help="Check the security of a running installation.")


@group.command()
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Run only this check. Can be repeated.")] = None,
    networks: Annotated[
        Path, typer.Option(help="File with the host's zones, which determine the ports that may be open.")
    ] = Path("/etc/okr/firewall.toml"),
    accepted: Annotated[Path, typer.Option(help="File of accepted findings, with reasons.")] = Path(
        "/etc/okr/audit.toml"
    ),
) -> None:
    """Check this host and the servers that it uses, and print a line for each finding. Exits with status 1 if any.

    Each line says what was expected, what was found and what to do. Run it as root on a server, with the settings and
    secrets of the installation (docs/security-audit.md).
    """
    from infra.audit.accepted import read_accepted
    from infra.audit.checks import CHECKS, run
    from infra.audit.installation import open_installation
    from lakehouse.errors import PermanentError

    if unknown := sorted({*(only or ())} - {*CHECKS}):
        raise PermanentError(f"{', '.join(unknown)} is not a check. Expected {', '.join(CHECKS)}.")
    installation, reasons = open_installation(networks), read_accepted(accepted)
    results = [run(name, installation, reasons) for name in CHECKS if not only or name in only]
    if as_json:
        typer.echo(json.dumps([result.as_dict() for result in results], indent=2))
    else:
        for result in results:
            for finding in result.findings:
                typer.echo(f"{result.check}: {finding}")
            for each in result.accepted:
                typer.echo(f"{result.check}: {each.subject}: accepted, because {each.reason}")
            if result.not_checked:
                typer.echo(f"{result.check}: not checked, because {result.not_checked}.")
        passed = sum(not result.findings and not result.not_checked for result in results)
        count = sum(len(result.findings) for result in results)
        typer.echo(f"{passed} of {len(results)} checks passed; {count} findings.")
    if any(result.findings for result in results):
        raise typer.Exit(1)


@group.command()
def rights() -> None:
    """Print all rights of PostgreSQL's roles, in the format of infra/audit/documented_rights.txt."""
    from infra.audit.postgres_rights import rights_text
    from lakehouse.settings import load_settings

    typer.echo(rights_text(load_settings()), nl=False)
