"""The commands that manage the stack. Each imports what it needs when it runs, which keeps `okr --help` fast."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.alertmanager.commands import group as alertmanager
from infra.analysts.commands import group as analysts
from infra.audit.commands import group as installation
from infra.backup.commands import group as backup
from infra.backup.commands import restore
from infra.certificates.commands import group as certificates
from infra.deploy.commands import app as deployment
from infra.firewall.commands import group as firewall
from infra.grafana.commands import group as grafana
from infra.kafka.commands import group as kafka
from infra.logs.commands import group as logs
from infra.migrations.commands import app as migrations
from infra.nginx.commands import group as nginx
from infra.postgres.commands import group as postgres
from infra.redis.commands import group as redis
from infra.secrets.commands import group as secrets
from infra.server.commands import group as server

if TYPE_CHECKING:
    from infra.local.stack import Stack

app = typer.Typer()
app.add_typer(migrations)
app.add_typer(deployment, name="deploy")
app.add_typer(alertmanager, name="alertmanager")
app.add_typer(analysts, name="analyst")
app.add_typer(firewall, name="firewall")
app.add_typer(installation, name="installation")
app.add_typer(server, name="server", hidden=True)  # systemd units run it
app.add_typer(nginx, name="nginx")
app.add_typer(kafka, name="kafka")
app.add_typer(grafana, name="grafana")
app.add_typer(logs, name="logs")
app.add_typer(postgres, name="postgres")
app.add_typer(redis, name="redis")
app.add_typer(secrets, name="secrets")
app.add_typer(certificates, name="certificates")
app.add_typer(backup, name="backup")
app.command()(restore)
INTERRUPTED = 130  # exit status of a process that Ctrl-C interrupted

Only = Annotated[
    str | None,
    typer.Option(help="Comma-separated services, such as postgres,kafka. Their dependencies are also started."),
]

Tls = Annotated[
    bool | None,
    typer.Option("--tls/--no-tls", help="Put nginx in front of the stack, with HTTPS. Default: as before."),
]

Monitor = Annotated[
    bool | None,
    typer.Option("--monitoring/--no-monitoring", help="Watch the stack with Prometheus. Default: as before."),
]


@app.command()
def up(only: Only = None, tls: Tls = None, monitoring: Monitor = None) -> None:
    """Start the stack or part of it, restart services whose code has changed, and wait until all are healthy."""
    import time

    from infra.local.monitoring import check_programs
    from infra.local.services import select
    from infra.local.stack import open_stack
    from infra.local.start import up as start
    from infra.logs.prune import delete_old
    from infra.nginx.apply import nginx_program
    from lakehouse.settings import load_settings

    started = time.monotonic()
    if tls:
        nginx_program()  # raises an error before anything is started
    if monitoring:
        check_programs(_say)
    before = open_stack(_state())
    is_watched = monitoring if monitoring is not None else before is not None and before.has_monitoring
    has_tls = tls if tls is not None else before is not None and before.has_tls
    try:
        stack = start(_state(), select(only, tls=has_tls, monitoring=is_watched), _say, tls, monitoring)
    except KeyboardInterrupt:
        typer.echo(
            "Interrupted. The services that were started keep running: `okr up` continues, `okr down` stops them.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    delete_old(stack.state / "logs", load_settings(stack.state).log_retention_days)
    typer.echo(f"The stack is up after {time.monotonic() - started:.0f} s. State and logs: {stack.state}")
    if only is None:
        _show_endpoints(stack)
    typer.echo("`okr status` shows services and logins, `okr down` stops the stack.")


@app.command()
def down() -> None:
    """Stop all processes of the stack and keep its state."""
    from infra.local.stop import down as stop

    stop(_state(), _say)


@app.command()
def clean() -> None:
    """Stop the stack and delete its state."""
    from infra.local.stop import clean as remove

    remove(_state(), _say)


@app.command()
def fetch() -> None:
    """Download Kafka's jars into the cache (46 jars, 41 MB, only once). `okr up` does this if necessary."""
    from infra.local import kafka_jars

    kafka_jars.fetch(_say)
    typer.echo(f"Kafka's jars are in {kafka_jars.cache_folder()}.")


@app.command()
def status() -> None:
    """Show services, logins, memory, publication and publication holds. Exits with status 1 if a service is down."""
    from infra.local.status import publication_lines, services, total_memory_bytes
    from lakehouse.background import thread_problems
    from lakehouse.settings import load_settings

    stack = started_stack()
    found = services(stack)
    memory = [f"{each.memory_bytes / 1e6:,.0f} MB" if each.pid else "" for each in found]
    rows = [(each.name, each.state, str(each.pid or ""), mb, each.log) for each, mb in zip(found, memory, strict=True)]
    _table(("SERVICE", "STATE", "PID", "PSS", "LOG"), rows)
    typer.echo(f"Whole stack: {total_memory_bytes(stack) / 1e9:.2f} GB PSS (shared pages counted once)\n")
    _show_endpoints(stack)
    for line in ("", *publication_lines(load_settings(stack.state))):
        typer.echo(line)
    for problem in thread_problems(stack.state):
        typer.echo(
            f"PROBLEM in thread {problem.thread}: it has failed {problem.failures} times since {problem.since} and is "
            f"being retried; last error: {problem.error}"
        )
    if any(each.state != "RUNNING" for each in found):
        raise typer.Exit(1)


@app.command()
def env() -> None:
    """Print the stack's addresses and the analyst's login as shell exports: eval "$(okr env)"."""
    from infra.local.status import user_environment

    for name, value in sorted(user_environment(started_stack()).items()):
        typer.echo(f"export {name}={shlex.quote(value)}")


def _state() -> Path:
    from lakehouse.settings import state_folder

    return state_folder()


def started_stack() -> "Stack":
    """Return the stack of this state folder.

    Raises:
        PermanentError: no stack has ever been started there.
    """
    from infra.local.stack import open_stack
    from lakehouse.errors import PermanentError

    stack = open_stack(_state())
    if stack is None:
        raise PermanentError(f"No stack has been started in {_state()}. Start one with `okr up` (or `make up`).")
    return stack


def _show_endpoints(stack: "Stack") -> None:
    from infra.local.status import endpoints

    _table(
        ("ENDPOINT", "ADDRESS", "LOGIN"),
        [(each.name, each.address, each.login) for each in endpoints(stack)],
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print columns at full width, because a truncated address would be useless."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def _say(line: str) -> None:
    typer.echo(line)
