"""`okr analyst guard`: enforces limits that a session can change for itself, and resets changed logins.

In PostgreSQL, a role can change its own timeouts, work_mem and password. Therefore the guard ends sessions of analysts
that exceed a limit, and resets logins that were changed. PostgreSQL measures the memory of the sessions, so the guard
can run on any host.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import psycopg

from infra.analysts.logins import Connection, logins, reset_changed
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from lakehouse.readiness import report_alive, report_ready
from lakehouse.warehouse import connect, read_sql

log = get_logger(__name__)

PERIOD_SECONDS = 5.0
RETRY_SECONDS = 2.0
OWN_MEMORY = r"SELECT substring(pg_read_file('/proc/self/status', true) FROM 'RssAnon:\s+(\d+) kB')::bigint * 1024"


@dataclass(frozen=True)
class Limits:
    """The limits of a session, in seconds and in bytes of private memory."""

    statement_s: int = 600
    idle_s: int = 120
    transaction_s: int = 1800
    memory_bytes: int = 1_000_000_000


@dataclass(frozen=True)
class SessionBeyondLimit:
    """A session that exceeds a limit, and so is ended by the guard."""

    pid: int
    role: str
    reason: str


def guard(superuser_dsn: str, stop: threading.Event, limits: Limits | None = None) -> None:
    """Enforce the limits until `stop` is set. If the server becomes unavailable, reconnect."""
    reported: set[str] = set()
    while not stop.is_set():
        report_alive()
        try:
            with connect(superuser_dsn, application="okr-guard", autocommit=True) as connection:
                if own_memory_bytes(connection) is None:
                    log.warning("the memory of analysts' sessions is not limited: PostgreSQL's host has no /proc")
                enforce(connection, limits or Limits(), reported)
                report_ready()
                while not stop.wait(PERIOD_SECONDS):
                    report_alive()
                    enforce(connection, limits or Limits(), reported)
        except (psycopg.Error, OkrError) as error:
            log.warning("the limits of analysts are not being enforced; retrying", reason=str(error))
            stop.wait(RETRY_SECONDS)


def enforce(connection: Connection, limits: Limits, reported: set[str] | None = None) -> list[SessionBeyondLimit]:
    """Reset changed logins, end the sessions that exceed a limit, and return the ended sessions.

    `reported` contains the unknown roles that have already been reported. Newly reported ones are added to it.
    """
    for login in reset_changed(connection):
        log.warning("an analyst changed their own login, so it was reset", role=login.role, changed=login.changed)
    _report_unknown_members(connection, set() if reported is None else reported)
    ended_sessions = list(_end_sessions(connection, limits))
    for each in ended_sessions:
        log.warning("an analyst's session was ended", role=each.role, pid=each.pid, reason=each.reason)
    return ended_sessions


def _report_unknown_members(connection: Connection, reported: set[str]) -> None:
    unknown = {login.role for login in logins(connection) if not login.was_added}
    for role in sorted(unknown - reported):
        log.warning(
            "a role that `okr analyst add` did not create is a member of okr_analyst: its sessions are limited, "
            "but its password and settings are not reset",
            role=role,
        )
    reported |= unknown


def _end_sessions(connection: Connection, limits: Limits) -> Iterator[SessionBeyondLimit]:
    seconds = {name: value for name, value in asdict(limits).items() if name.endswith("_s")}
    sessions = connection.execute(read_sql("infra.analysts", "analyst_sessions"), seconds).fetchall()
    for session in _sessions_beyond_limits(sessions, limits):
        connection.execute("SELECT pg_terminate_backend(%s)", (session.pid,))
        yield session


def _sessions_beyond_limits(sessions: Iterable[tuple[object, ...]], limits: Limits) -> Iterator[SessionBeyondLimit]:
    for pid, role, reason, memory_bytes in sessions:
        is_too_large = int(str(memory_bytes or 0)) > limits.memory_bytes
        memory = f"more than {limits.memory_bytes / 1e6:,.0f} MB of memory" if is_too_large else None
        if exceeded := reason or memory:
            yield SessionBeyondLimit(int(str(pid)), str(role), str(exceeded))


def own_memory_bytes(connection: Connection) -> int | None:
    """Return the private memory of this connection's server process; None if the server cannot measure it."""
    [(found,)] = connection.execute(OWN_MEMORY).fetchall()
    return None if found is None else int(str(found))
