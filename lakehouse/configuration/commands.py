"""`okr config`: check the settings of this process's environment, and show where each value comes from."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from lakehouse.errors import PermanentError
from lakehouse.settings import STACK_ENV, read_settings

app = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="Check and show the settings.")
app.add_typer(group, name="config")

WORDS = {True: "ok  ", False: "FAIL", None: "-   "}  # of an attempt to connect
Required = Annotated[
    list[str] | None, typer.Option("--require", help="A setting that must not be empty. Repeat it for several.")
]


@group.command()
def check(require: Required = None) -> None:
    """Check all settings and print each error on a separate line. Exits with status 1 if there are errors.

    On a server, the systemd units run this command before their service starts.
    """
    from lakehouse.configuration.report import misspelt, report

    settings, errors = read_settings()
    values = {setting.name: setting.value for setting in report(settings)}
    if not (settings.state / STACK_ENV).is_file():
        errors += misspelt()
    for name in require or ():
        if name not in values:
            errors.append(f"{name} is not a setting.")
        elif not values[name]:
            errors.append(f"{name} is required, but empty.")
    if errors:
        raise PermanentError("\n  ".join(["Invalid settings:", *errors]))
    typer.echo(f"The settings are valid for {settings.environment}.")


@group.command()
def connect() -> None:
    """Connect to each server in the settings, and show how it is encrypted, or why it fails.

    Exits with status 1 if a connection fails. Servers that this host does not use are not tried.
    """
    from lakehouse.configuration.connections import attempts
    from lakehouse.settings import load_settings

    failed = 0
    for attempt in attempts(load_settings()):
        typer.echo(f"{WORDS[attempt.is_connected]}  {attempt.setting}  {attempt.server}  {attempt.text}")
        failed += attempt.is_connected is False
    if failed:
        raise typer.Exit(1)


@group.command()
def show(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show every setting, where its value comes from, and its value. Secrets are masked.

    An invalid value is replaced by its default, and the exit status is then 1.
    """
    from lakehouse.configuration.report import report

    settings, errors = read_settings()
    shown = report(settings)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in shown], indent=2))
    else:
        names, origins = (max(len(getattr(each, column)) for each in shown) for column in ("name", "origin"))
        for each in shown:
            typer.echo(f"{each.name:<{names}}  {each.origin:<{origins}}  {each.value or '-'}")
    if errors:
        raise PermanentError("\n  ".join(["Invalid settings:", *errors]))
