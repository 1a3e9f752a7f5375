"""`okr secrets`: make and check the secrets of servers. The commands run on the operator's machine."""

import sys
from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(no_args_is_help=True, help="Make and check the secrets of an installation on servers.")
VAULT_HELP = "A decrypted vault; - reads standard input (`ansible-vault view FILE | ...`)."


@group.command()
def new(  # noqa: PLR0913, PLR0917 -- options
    postgres: Annotated[str, typer.Option(metavar="HOST:PORT", help="PostgreSQL, by the name in its certificate.")],
    redis: Annotated[str, typer.Option(metavar="HOST:PORT", help="Redis, by the name in its certificate.")],
    ca: Annotated[str, typer.Option(metavar="PATH", help="Path of the CA file on the hosts.")] = "/etc/okr/tls/ca.pem",
    keep: Annotated[Path | None, typer.Option(metavar="FILE", help=f"Keep these secrets. {VAULT_HELP}")] = None,
    client_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The key of client.pem (`okr certificates new`).")
    ] = None,
    renew: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Replace this secret instead of keeping it. Can be repeated."),
    ] = None,
) -> None:
    """Print a vault for Ansible with all secrets. Pipe it into `ansible-vault encrypt --output FILE`.

    With --keep, only missing and renewed secrets are new. DSNs and URLs that are kept keep their host.
    """
    from infra.secrets.forms import Addresses
    from infra.secrets.generate import complete
    from infra.secrets.vault import from_text, to_text
    from lakehouse.errors import PermanentError

    for option, address in (("--postgres", postgres), ("--redis", redis)):
        host, _, port = address.rpartition(":")
        if not (host and port.isdecimal()):
            raise PermanentError(f"{option} is {address!r}. Expected host:port.")
    if renew and keep is None:
        raise PermanentError("--renew expects --keep with the other secrets.")
    kept = from_text(_read(keep)) if keep else {}
    if client_key:
        kept["client_key"] = client_key.read_text(encoding="ascii").strip()
    typer.echo(to_text(complete(kept, renew or (), Addresses(postgres, redis, ca))), nl=False)


@group.command()
def check(vault: Annotated[Path, typer.Argument(help=VAULT_HELP)]) -> None:
    """Print a line for each missing, unknown, malformed or repeated secret. Exits with status 1 if there are any."""
    from infra.secrets.generate import problems
    from infra.secrets.vault import from_text

    found = [*problems(from_text(_read(vault)))]
    for line in found:
        typer.echo(line)
    if found:
        raise typer.Exit(1)
    typer.echo("All secrets have the right form.")


@group.command("list")
def list_secrets() -> None:
    """Print the table of all secrets: name, form, and what uses it."""
    from infra.secrets.table import markdown

    typer.echo("\n".join(("| name | form | used by |", "|---|---|---|", *markdown())))


def _read(file: Path) -> str:
    return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
