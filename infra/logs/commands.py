"""`okr logs`: search and follow the logs of all services, and change their levels."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.logs.entry import Entry
    from infra.logs.query import Query

INTERRUPTED = 130
group = typer.Typer(invoke_without_command=True)

Services = Annotated[
    str | None, typer.Option("--service", "-s", help="Services, separated by commas, such as api,land. Default: all.")
]
Level = Annotated[str, typer.Option(help="Minimum level: DEBUG, INFO, WARN, ERROR or FATAL.")]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Start of the period: 10m (ago), 2h, 3d, 2026-11-29 or 2026-11-29T12:00 (UTC)."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="End of the period, in the same formats.")]
RequestId = Annotated[str, typer.Option(metavar="ID", help="Only lines of this request (X-Request-ID) or trace.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Show new lines until Ctrl-C.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines (docs/logs.md has their schema).")]
Store = Annotated[bool, typer.Option("--store", help="Ask the store at OKR_LOGS_URL, which has the logs of all hosts.")]


@group.callback()
def logs(  # noqa: PLR0913, PLR0917 -- the options of the command
    context: typer.Context,
    service: Services = None,
    level: Level = "DEBUG",
    since: Since = None,
    until: Until = None,
    request_id: RequestId = "",
    follow: Follow = False,
    as_json: AsJson = False,
    store: Store = False,
) -> None:
    """Show the logs of all services of the local stack or of this server, in chronological order.

    Times are UTC. `okr logs level` changes the level of a running service.
    """
    if context.invoked_subcommand is not None:
        return
    from datetime import UTC, datetime

    from infra.logs.query import Query, moment, severity_of

    now = datetime.now(UTC)
    names = tuple(filter(None, (each.strip() for each in (service or "").split(","))))
    start, end = (moment(each, now) if each else None for each in (since, until))
    query = Query(names, severity_of(level), start, end, request_id)
    _print(_store(query, follow) if store else _of_this_host(query, follow), as_json)


@group.command()
def level(
    service: Annotated[str, typer.Argument(help="api, land, state, metrics or guard.")],
    rules: Annotated[
        str | None, typer.Argument(metavar="LEVEL", help="Such as DEBUG, or INFO,serving.auth=DEBUG for a module.")
    ] = None,
    period: Annotated[str, typer.Option("--for", metavar="PERIOD", help="How long, such as 10m; at most 1d.")] = "10m",
    reset: Annotated[bool, typer.Option("--reset", help="Return to the level of OKR_LOG_LEVEL.")] = False,
) -> None:
    """Change the level of a running service temporarily. It reverts to OKR_LOG_LEVEL automatically."""
    from infra.logs import level as levels
    from infra.logs.query import duration
    from lakehouse.errors import PermanentError
    from lakehouse.settings import state_folder

    file = levels.level_file(service, state_folder(), is_server=not _is_local())
    if reset == (rules is not None):
        raise PermanentError("Expected either a level, such as DEBUG, or --reset.")
    typer.echo(levels.reset(file, service) if rules is None else levels.change(file, service, rules, duration(period)))


@group.command()
def prune() -> None:
    """Delete rotated files and logs of Airflow's tasks that are older than OKR_LOG_RETENTION_DAYS."""
    from infra.logs.prune import delete_old
    from lakehouse.settings import load_settings

    settings = load_settings()
    files, size = delete_old(settings.state / "logs", settings.log_retention_days)
    typer.echo(f"Deleted {files} files ({size / 1e6:.1f} MB) older than {settings.log_retention_days} days.")


def _print(entries: "Iterator[Entry]", as_json: bool) -> None:
    from infra.logs import output
    from lakehouse.log_records.redaction import Redactor, own_secrets

    redactor = Redactor(own_secrets())
    format_entry = output.as_json(redactor) if as_json else output.as_text(redactor)
    try:
        for entry in entries:
            sys.stdout.write(f"{format_entry(entry)}\n")
            if sys.stdout.line_buffering:
                continue
            sys.stdout.flush()
        sys.stdout.flush()
    except BrokenPipeError:  # `okr logs | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _of_this_host(query: "Query", follow: bool) -> "Iterator[Entry]":
    from infra.logs import files, journal
    from infra.logs.follow import follow as follow_files

    if not _is_local():
        _check_services(query, journal.services_of_units())
        return journal.read(query, follow=follow)
    folder = _local_folder()
    known = _local_services()
    _check_services(query, known)
    wanted = tuple(query.services) or tuple(known)
    return follow_files(folder, wanted, query) if follow else files.read(folder, wanted, query)


def _store(query: "Query", follow: bool) -> "Iterator[Entry]":
    from infra.logs import store
    from lakehouse.client_tls import ClientTls
    from lakehouse.settings import load_settings

    settings = load_settings()
    return store.read(settings.require("logs_url"), query, follow=follow, tls=ClientTls.of(settings))


def _check_services(query: "Query", known: list[str]) -> None:
    from lakehouse.errors import PermanentError

    for name in query.services:
        if name not in known:
            raise PermanentError(f"There is no service {name!r}. Known services: {', '.join(known)}.")


def _local_services() -> list[str]:
    from infra.local.monitoring import MONITORING
    from infra.local.services import DATABASES, NAMES
    from infra.logs.files import SUPERVISOR

    watching, databases = [kind.name for kind in MONITORING], [kind.name for kind in DATABASES]
    return [*NAMES, "nginx", *watching, *databases, SUPERVISOR]


def _is_local() -> bool:
    """Return whether there is a local stack. A server's state folders have no stack.env."""
    from lakehouse.settings import STACK_ENV, is_environment_only, state_folder

    return not is_environment_only() and ((state_folder() / STACK_ENV).exists() or (state_folder() / "logs").is_dir())


def _local_folder() -> Path:
    from lakehouse.settings import state_folder

    return state_folder() / "logs"
