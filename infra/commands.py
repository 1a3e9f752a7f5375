"""The stack's commands, mounted by `okr`. Light imports only: each command imports what it uses."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.analysts.commands import group as analysts

if TYPE_CHECKING:
    from infra.local.stack import Stack

app = typer.Typer()
app.add_typer(analysts, name="analyst")
INTERRUPTED = 130  # the shell's status for Ctrl-C

Only = Annotated[
    str | None, typer.Option(help="Comma-separated services, e.g. postgres,kafka,redis; what they need comes along.")
]


@app.command()
def up(only: Only = None) -> None:
    """Start the stack (or a part of it), wait until it is healthy, and leave it running."""
    import time

    from infra.local.services import select
    from infra.local.start import up as start

    began = time.monotonic()
    try:
        stack = start(_state(), select(only), _say)
    except KeyboardInterrupt:
        typer.echo("Interrupted. What was started keeps running: `okr up` goes on, `okr down` stops it.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(f"The stack is up after {time.monotonic() - began:.0f} s. State and logs: {stack.state}")
    if only is None:
        _show_endpoints(stack)
    typer.echo("`okr status` shows services and logins again, `okr down` stops everything.")


@app.command()
def down() -> None:
    """Stop the stack: no process and no port stays behind, the state does."""
    from infra.local.stop import down as stop

    stop(_state(), _say)


@app.command()
def clean() -> None:
    """Stop the stack and remove its state."""
    from infra.local.stop import clean as remove

    remove(_state(), _say)


@app.command()
def fetch() -> None:
    """Download Kafka once (46 jars, 41 MB) into the cache; `okr up` does it too."""
    from infra.local import kafka_jars

    kafka_jars.fetch(_say)
    typer.echo(f"Kafka's jars are in {kafka_jars.cache_folder()}.")


@app.command()
def status() -> None:
    """Show services, logins, memory, what is published and what holds it back. Exit status 1: a service is down."""
    from infra.local.status import publication_lines, services, total_memory_bytes
    from lakehouse.background import troubles
    from lakehouse.settings import load_settings

    stack = started_stack()
    found = services(stack)
    memory = [f"{each.memory_bytes / 1e6:,.0f} MB" if each.pid else "" for each in found]
    rows = [(each.name, each.state, str(each.pid or ""), mb, each.log) for each, mb in zip(found, memory, strict=True)]
    _table(("SERVICE", "STATE", "PID", "PSS", "LOG"), rows)
    typer.echo(f"Whole stack: {total_memory_bytes(stack) / 1e9:.2f} GB PSS (shared pages once)\n")
    _show_endpoints(stack)
    for line in ("", *publication_lines(load_settings(stack.state))):
        typer.echo(line)
    for trouble in troubles(stack.state):
        typer.echo(
            f"TROUBLE {trouble.thread}: failed {trouble.failures} times since {trouble.since}, goes on; "
            f"the last error: {trouble.error}"
        )
    if any(each.state != "RUNNING" for each in found):
        raise typer.Exit(1)


@app.command()
def env() -> None:
    """Print the addresses as shell exports: eval "$(okr env)"."""
    from infra.local.status import user_environment

    for name, value in sorted(user_environment(started_stack()).items()):
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def migrate() -> None:
    """Bring the warehouse's schema to the newest revision."""
    from infra.migrations.migrate import migrate as run_migrations
    from lakehouse.settings import load_settings

    typer.echo(f"The warehouse is at revision {run_migrations(load_settings().require('dsn_owner'))}.")


def _state() -> Path:
    from lakehouse.settings import state_folder

    return state_folder()


def started_stack() -> "Stack":
    """Return the stack of this state folder.

    Raises:
        PermanentError: none was ever started there.
    """
    from infra.local.stack import open_stack
    from lakehouse.errors import PermanentError

    stack = open_stack(_state())
    if stack is None:
        raise PermanentError(f"No stack was started in {_state()}. Start one with `okr up` (or `make up`).")
    return stack


def _show_endpoints(stack: "Stack") -> None:
    from infra.local.status import endpoints

    _table(
        ("OPEN", "ADDRESS", "LOGIN"),
        [(each.what, each.address, each.login) for each in endpoints(stack)],
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print columns in full: an address that was cut cannot be opened."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def _say(line: str) -> None:
    typer.echo(line)
