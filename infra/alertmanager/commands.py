"""`okr alertmanager`: write Alertmanager's configuration, and the API key with which it reports alerts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.alertmanager.receivers import Receivers

group = typer.Typer(no_args_is_help=True, help="Configure Alertmanager on a server.")

RECEIVERS = Path("/etc/okr/alerting.toml")
USERS_GROUP = "prometheus"  # of Debian's package
File = Annotated[Path, typer.Option(help="Alertmanager's configuration file, which is replaced.")]
ReceiversFile = Annotated[Path, typer.Option("--receivers", help="File that says where alerts are sent.")]
Group = Annotated[str, typer.Option("--group", help="The group of Alertmanager's user, which may read the file.")]


@group.command()
def render(receivers: ReceiversFile = RECEIVERS) -> None:
    """Print the configuration that `okr alertmanager apply` would write. It may contain secrets."""
    from infra.alertmanager.configuration import configuration

    typer.echo(configuration(_read(receivers)), nl=False)


@group.command()
def apply(
    receivers: ReceiversFile = RECEIVERS,
    file: File = Path("/etc/prometheus/alertmanager.yml"),
    users_group: Group = USERS_GROUP,
) -> None:
    """Check the configuration, replace the file, and say who gets alerts. Reload Alertmanager afterwards."""
    from infra.alertmanager.configuration import write

    wanted = _read(receivers)
    has_changed = write(wanted, file, group=users_group)
    typer.echo(f"{file} {'was written; reload Alertmanager' if has_changed else 'already has this configuration'}.")
    for statement in wanted.statements():
        typer.echo(statement)


@group.command()
def key(
    receivers: ReceiversFile = RECEIVERS,
    username: Annotated[str, typer.Option(help="An administrator of the installation.")] = "admin",
    users_group: Group = USERS_GROUP,
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
) -> None:
    """Create the API key of Alertmanager and write it to its file, unless the file has a valid one."""
    from infra.alertmanager.api_key import ensure_key

    wanted = _read(receivers)
    password = input() if password_stdin else typer.prompt(f"Password of {username}", hide_input=True)
    is_new = ensure_key(wanted.api_url, (username, password), wanted.key_file, wanted.ca_file, users_group)
    typer.echo(f"{wanted.key_file} {'has a new key' if is_new else 'already has a valid key'}.")


def _read(file: Path) -> "Receivers":
    from infra.alertmanager.receivers import read_receivers

    return read_receivers(file)
