"""`okr analyst guard`: holds the limits that a session can lift for itself, and sets logins back.

statement_timeout and its siblings, work_mem and a role's own password are the role's to change, by PostgreSQL's rules.
So a session of an analyst beyond these limits is ended from outside, and a login that changed is set back.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from infra.analysts.logins import Connection, logins, restore
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from lakehouse.readiness import report_ready
from lakehouse.warehouse import connect, read_sql

log = get_logger(__name__)

PERIOD_SECONDS = 5.0
RETRY_SECONDS = 2.0


@dataclass(frozen=True)
class Limits:
    """What a session may take: seconds of a statement, idle in a transaction, of a transaction; memory of its own."""

    statement_s: int = 600
    idle_s: int = 120
    transaction_s: int = 1800
    memory_bytes: int = 1_000_000_000


@dataclass(frozen=True)
class Ended:
    """A session that was ended."""

    pid: int
    role: str
    reason: str


def guard(superuser_dsn: str, stop: threading.Event, limits: Limits | None = None) -> None:
    """Enforce until `stop` is set; a server that is away is waited for."""
    told: set[str] = set()
    while not stop.is_set():
        try:
            with connect(superuser_dsn, application="okr-guard", autocommit=True) as connection:
                enforce(connection, limits or Limits(), told)
                report_ready()
                while not stop.wait(PERIOD_SECONDS):
                    enforce(connection, limits or Limits(), told)
        except (psycopg.Error, OkrError) as error:
            log.warning("analysts are not guarded, trying again", reason=str(error))
            stop.wait(RETRY_SECONDS)


def enforce(connection: Connection, limits: Limits, told: set[str] | None = None) -> list[Ended]:
    """End sessions beyond their limits and set changed logins back, once; return the sessions that were ended.

    Roles in `told` were reported already; those that are reported now are added.
    """
    for login in restore(connection):
        log.warning("an analyst changed their own login, it was set back", role=login.role, changed=login.changed)
    _report_strangers(connection, set() if told is None else told)
    ended = list(_end(connection, limits))
    for each in ended:
        log.warning("an analyst's session was ended", role=each.role, pid=each.pid, reason=each.reason)
    return ended


def _report_strangers(connection: Connection, told: set[str]) -> None:
    strangers = {login.role for login in logins(connection) if not login.is_ours}
    for role in sorted(strangers - told):
        log.warning(
            "a role that `okr analyst add` did not make is a member of okr_analyst: its sessions are limited as any "
            "analyst's, its password and settings are left alone",
            role=role,
        )
    told |= strangers


def _end(connection: Connection, limits: Limits) -> Iterator[Ended]:
    seconds = {name: value for name, value in asdict(limits).items() if name.endswith("_s")}
    sessions = connection.execute(read_sql("infra.analysts", "sessions_beyond_limits"), seconds).fetchall()
    for session in _beyond(sessions, limits):
        connection.execute("SELECT pg_terminate_backend(%s)", (session.pid,))
        yield session


def _beyond(sessions: Iterable[tuple[object, ...]], limits: Limits) -> Iterator[Ended]:
    for pid, role, reason in sessions:
        is_too_large = own_memory_bytes(int(str(pid))) > limits.memory_bytes
        memory = f"more than {limits.memory_bytes / 1e6:,.0f} MB of memory" if is_too_large else None
        if told := reason or memory:
            yield Ended(int(str(pid)), str(role), str(told))


def own_memory_bytes(pid: int) -> int:
    """Return what a process holds of memory beside shared buffers; 0 where that cannot be told (gone, another host)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)
