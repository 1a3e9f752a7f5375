"""Run PostgreSQL on a restored data folder, reachable only through a private socket, until it is done."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from infra.backup.postgres import program
from infra.local import unprivileged
from lakehouse.environment import for_children, remove_libpq_variables
from lakehouse.errors import PermanentError, RetryableError

POLL_SECONDS = 0.2
STOP_SECONDS = 60
# What a server answers until recovery has ended. Another FATAL stays, such as a locale that this host does not have.
NOT_YET = ("starting up", "not yet accepting connections", "not accepting connections", "in recovery mode")
RECOVERY_LIMIT_SECONDS = 6 * 3600
# At least those of the server that was saved, or recovery stops.
SETTINGS = {
    "listen_addresses": "", "max_connections": "500", "max_wal_senders": "20", "max_worker_processes": "64",
    "hot_standby": "off", "shared_buffers": "128MB", "max_wal_size": "2GB", "jit": "off", "timezone": "UTC",
    "lc_messages": "C", "archive_mode": "off",
    "log_min_error_statement": "panic", "logging_collector": "off", "ssl": "off",
}  # fmt: skip


@contextmanager
def temporary_server(data: Path, major: int, state: Path, extra: dict[str, str]) -> Iterator[str]:
    """Start a server on a data folder, wait until it accepts writes, yield its DSN without a database, and stop it.

    Raises:
        PermanentError: the server ended; the message has its last lines.
    """
    home = Path(tempfile.mkdtemp(prefix="okr-restore-", dir="/tmp"))  # nosec B108 -- mode 0700; a short path
    for name, text in (("postgresql.conf", ""), ("pg_ident.conf", ""), ("pg_hba.conf", "local all all trust\n")):
        (home / name).write_text(text, encoding="ascii")
        unprivileged.give_ownership(home / name)
    unprivileged.give_ownership(home)
    settings = SETTINGS | {
        "config_file": str(home / "postgresql.conf"), "hba_file": str(home / "pg_hba.conf"),
        "ident_file": str(home / "pg_ident.conf"), "unix_socket_directories": str(home),
    } | extra  # fmt: skip
    arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    log = home / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*unprivileged.command_prefix(), program("postgres", major), "-D", str(data), *arguments],
            env=for_children(state), cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        dsn = f"host={home} user=postgres"
        _wait_until_ready(server, dsn, log)
        yield dsn
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGINT)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_ready(server: "subprocess.Popen[bytes]", dsn: str, log: Path) -> None:
    remove_libpq_variables()
    deadline = time.monotonic() + RECOVERY_LIMIT_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise _ended(log.read_text(encoding="utf-8", errors="replace"))
        try:
            with psycopg.connect(f"{dsn} dbname=postgres", connect_timeout=5) as connection:
                row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
                if row and not row[0]:
                    return
        except psycopg.OperationalError as error:
            said = " ".join(str(error).split())
            if "FATAL" in said and not any(words in said for words in NOT_YET):
                raise PermanentError(
                    f"The restored PostgreSQL refuses connections: {said}. If it names a locale, install it "
                    "(`dpkg-reconfigure locales`): this host needs those of PostgreSQL's host. Nothing was changed."
                ) from error
        time.sleep(POLL_SECONDS)
    raise RetryableError(f"PostgreSQL was not recovered within {RECOVERY_LIMIT_SECONDS} s.")


def _ended(said: str) -> PermanentError:
    lines = [line.split("]", 1)[-1].strip() for line in said.splitlines() if "FATAL" in line or "PANIC" in line]
    cause = " ".join(lines[-2:]) or said[-500:]
    if "recovery ended before configured recovery target" in said:
        return PermanentError(
            "The saved write-ahead log ends before the time that was asked for. Nothing was changed. Choose an earlier "
            "time, or leave out --at for the newest recovery point (`okr backup list`)."
        )
    return PermanentError(
        f"The restored PostgreSQL did not start: {cause}. Nothing was changed. `okr backup verify --data` tests the "
        "repository; `okr restore --at` can use an earlier recovery point."
    )
