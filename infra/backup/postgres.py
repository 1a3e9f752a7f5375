"""Copy PostgreSQL: base backups, and the write-ahead log that a replication slot keeps for the next run.

Both come through the replication protocol, so the server may be on another host, and needs no archive command, which
could block it (a failing archive command stops base backups, and fills the disk of the server).
"""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from infra.backup.repository import Repository, Saved
from infra.local.postgres import binary
from lakehouse.environment import for_children
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.warehouse import connect, parts_of

SLOT = "okr_backup"
BASE_FILE = "base.tar"
SEGMENT = re.compile(r"[0-9A-F]{24}")
FOLDERS = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin")  # Debian's, and PGDG's on Oracle Linux
LEAST_FREE = 0.05  # of the disk
MOVE_ON = "BEGIN; SELECT pg_current_xact_id(); COMMIT"


@dataclass(frozen=True)
class Server:
    """What a backup must know of the server."""

    major: int
    system_id: str
    timeline: int


def program(name: str, major: int) -> str:
    """Return the path of a program of PostgreSQL `major`.

    Raises:
        PermanentError: it is not installed.
    """
    folders = [Path(folder.format(major=major)) for folder in FOLDERS]
    for folder in folders:
        if (folder / name).is_file():
            return str(folder / name)
    if major == 18:
        with contextlib.suppress(PermanentError):  # servers have no embedded PostgreSQL
            if binary(name).is_file():
                return str(binary(name))
    raise PermanentError(
        f"{name} of PostgreSQL {major} is not installed. Expected it in {folders[0]}: install postgresql-{major}, "
        "whose version must be that of the server."
    )


def inspect(dsn: str) -> Server:
    """Return what a backup must know of the server.

    Raises:
        RetryableError: the server does not respond.
        PermanentError: its write-ahead log does not contain enough for a restore.
    """
    with connect(dsn, application="okr-backup", autocommit=True) as connection:
        level = _value(connection, "SHOW wal_level")
        if level == "minimal":
            raise PermanentError(
                "PostgreSQL runs with wal_level = minimal, from which nothing can be restored to a time. In the local "
                "stack: `okr down && okr up`, which starts it with the settings of backups. On a server: wal_level = "
                "replica (infra/postgres/postgresql.conf) and a restart."
            )
        return Server(
            int(_value(connection, "SHOW server_version_num")) // 10_000,
            str(_value(connection, "SELECT system_identifier FROM pg_control_system()")),
            int(_value(connection, "SELECT timeline_id FROM pg_control_checkpoint()")),
        )


def has_slot(dsn: str) -> bool:
    """Return whether the slot exists and has kept the whole log since the last backup."""
    with connect(dsn, application="okr-backup", autocommit=True) as connection:
        slot = connection.execute("SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s", [SLOT]).fetchone()
        return slot is not None and slot[0] != "lost"


def create_slot(dsn: str) -> None:
    """Create the slot, in the place of an older one."""
    with connect(dsn, application="okr-backup", autocommit=True) as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [SLOT]
        )
        connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", [SLOT])


def save_base(repository: Repository, dsn: str, server: Server, state: Path, point: str) -> tuple[Saved, str]:
    """Stream a base backup into the repository, and return the first segment of the log that it needs.

    Raises:
        RetryableError: it failed; the repository has no new snapshot.
    """
    with connect(dsn, application="okr-backup", autocommit=True) as connection:
        # The backup starts at this checkpoint or at a later one.
        first = str(_value(connection, "SELECT pg_walfile_name(redo_lsn) FROM pg_control_checkpoint()"))
    command = [
        program("pg_basebackup", server.major),
        "--dbname",
        _without_password(dsn),
        *("--pgdata=-", "--format=tar", "--wal-method=none", "--checkpoint=fast", "--no-password"),
        "--label=okr-backup",
    ]
    saved = repository.save_output(command, _environment(dsn, state), BASE_FILE, "postgres", point)
    return saved, first


def receive_wal(dsn: str, server: Server, folder: Path, state: Path) -> None:
    """Receive the write-ahead log from the slot up to now, in complete segments.

    Raises:
        RetryableError: the server does not respond, or no longer has a segment; or the disk is almost full.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _require_space(folder)
    with connect(dsn, application="okr-backup", autocommit=True) as connection:
        # Recovery to a time stops at the first commit after it, so there must be one after the recovery point (Barman
        # #881). The switch completes its segment and flushes it, so nothing has to be waited for.
        connection.execute(MOVE_ON)
        switched = _position(str(_value(connection, "SELECT pg_switch_wal()")))
        size = int(_value(connection, "SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'"))
        end = -(-switched // size) * size - 1  # pg_receivewal stops beyond this position
    result = subprocess.run(
        [program("pg_receivewal", server.major), "--dbname", _without_password(dsn), "--directory", str(folder),
         "--slot", SLOT, "--endpos", f"{end >> 32:X}/{end & 0xFFFFFFFF:X}", "--no-loop", "--no-password"],
        env=_environment(dsn, state), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode != 0:
        raise RetryableError(
            f"The write-ahead log could not be received: {' '.join(result.stderr.split())[-500:]}. The slot {SLOT} of "
            "PostgreSQL keeps it for the next run."
        )


def _require_space(folder: Path) -> None:
    """Check that the disk, which may be the lake's, has space left.

    While the repository cannot be written, segments accumulate here with every run.

    Raises:
        RetryableError: it is almost full.
    """
    disk = shutil.disk_usage(folder)
    if disk.free < LEAST_FREE * disk.total:
        raise RetryableError(
            f"The disk of {folder} has {disk.free / 1e9:.1f} GB free, and {LEAST_FREE:.0%} must stay free, so "
            f"no write-ahead log was received. The slot {SLOT} of PostgreSQL keeps it, up to "
            "max_slot_wal_keep_size. Free some space. If earlier runs failed, find out why: received log is removed "
            "only after a complete backup."
        )


def segments(folder: Path, since: str = "") -> list[Path]:
    """Return the complete segments that were received, from one on."""
    found = (path for path in folder.iterdir() if SEGMENT.fullmatch(path.name)) if folder.is_dir() else ()
    return sorted(path for path in found if path.name[8:] >= since[8:])


def _position(text: str) -> int:
    """Return a position in the write-ahead log as a number of bytes."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def _without_password(dsn: str) -> str:
    """Return a DSN for a command line, which other users can read."""
    parts = parts_of(dsn)
    return psycopg.conninfo.make_conninfo(
        **{name: value for name, value in parts.items() if name not in ("password", "dbname") and value}
    )


def _environment(dsn: str, state: Path) -> Mapping[str, str]:
    return for_children(state) | {"PGPASSWORD": parts_of(dsn)["password"], "PGCONNECT_TIMEOUT": "10"}


def _value(connection: "psycopg.Connection[Any]", query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None
