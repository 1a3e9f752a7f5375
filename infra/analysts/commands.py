"""`okr analyst`: manage the logins of the people who read the marts with SQL."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.analysts.logins import Login

group = typer.Typer(
    no_args_is_help=True, help="Manage analysts' logins: add, remove, list. A login can read only the marts."
)

Organisation = Annotated[
    str | None,
    typer.Option(
        help="Id of the organisation whose rows the login may read. Without this option, a new login reads all rows, "
        "and an existing login keeps its restriction. EXPLAIN still reveals row counts of other organisations, so this "
        "option does not protect against people whom you do not trust."
    ),
]
LoginName = Annotated[str, typer.Argument(help="Name of the login: lower-case letters, digits, underscores.")]


@group.command()
def add(name: LoginName, organisation: Organisation = None) -> None:
    """Create a login, or give an existing one a new password. The connection URL with the password is printed once."""
    from infra.analysts.connection_url import authority_file, connection_url
    from infra.analysts.logins import add as add_login
    from lakehouse.operator_actions import recorded
    from lakehouse.settings import load_settings

    settings = load_settings()
    with recorded("analyst.added", name) as details:
        details["organisation"] = organisation
        password = add_login(settings.require("pg_superuser_dsn"), name, organisation)
    typer.echo(connection_url(settings, name, password))
    typer.echo("This password is not stored and is shown only once. To get a new one, run the command again.", err=True)
    if authority := authority_file(settings):
        typer.echo(f"Also hand over the certificate {authority}, and add &sslrootcert=<its copy> to the URL.", err=True)


@group.command()
def remove(name: LoginName) -> None:
    """End the sessions of a login and drop it."""
    from infra.analysts.logins import remove as drop
    from lakehouse.operator_actions import recorded
    from lakehouse.settings import load_settings

    with recorded("analyst.removed", name):
        drop(load_settings().require("pg_superuser_dsn"), name)
    typer.echo(f"{name} can no longer log in.")


@group.command("list")
def list_() -> None:
    """List the logins with the number of their sessions, and mark those whose password or settings were changed."""
    from infra.analysts.logins import logins, organisations
    from lakehouse.settings import load_settings
    from lakehouse.warehouse import connect

    dsn = load_settings().require("pg_superuser_dsn")
    restricted = organisations(dsn)
    with connect(dsn, application="okr-analyst") as connection:
        for login in logins(connection):
            since = f"{login.created_at:%Y-%m-%d}" if login.created_at else "unknown"
            organisation = f"\torganisation={restricted[login.role]}" if login.role in restricted else ""
            changed = f"\tchanged={login.changed}" if login.changed else ""
            sessions = f"sessions={login.sessions} of {login.connections}"
            typer.echo(f"{login.role}\tsince={since}\t{sessions}{organisation}{changed}{_hint(login)}")


def _hint(login: "Login") -> str:
    if not login.was_added:
        return f"\tnot created by `okr analyst add`: REVOKE okr_analyst FROM {login.role} unless it is intended"
    return "" if login.can_log_in else f"\tremoval interrupted: `okr analyst remove {login.role}` completes it"


@group.command(hidden=True)
def guard() -> None:
    """Enforce limits that a session can change for itself. The stack runs this command as a service."""
    import signal
    import threading

    from infra.analysts.session_guard import guard as run
    from lakehouse.settings import load_settings

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(load_settings().require("pg_superuser_dsn"), stop)
