"""Restore PostgreSQL into an empty folder and recover it to a mark or a time."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from infra.backup.cut import Offsets, offsets_of
from infra.backup.point import Base, Point
from infra.backup.postgres import BASE_FILE
from infra.backup.repository import Repository
from infra.backup.temporary_server import temporary_server
from infra.local import unprivileged
from lakehouse.errors import RetryableError

DATABASE = "okr"
DESTROY = """
UPDATE app.data_key
SET kek_id = NULL, wrapped_key = NULL, destroyed_at = now()
WHERE owner = ANY(%s) AND destroyed_at IS NULL
"""


@dataclass(frozen=True)
class Recovered:
    """Where a recovered PostgreSQL is: the watermarks of raw, and the offsets of the state tables."""

    loaded: Offsets
    applied: Offsets
    destroyed_again: int


def restore(  # noqa: PLR0913, PLR0917 -- each is a part of the plan, which `verify` does not have
    repository: Repository,
    point: Point,
    base: Base,
    moment: datetime | None,
    folder: Path,
    state: Path,
    destroyed: Sequence[str] = (),
) -> Recovered:
    """Restore into `folder`/data and recover to the point's mark or, if given, to `moment`.

    `destroyed` are the owners whose keys must not come back (ADR 34).

    Raises:
        PermanentError: PostgreSQL could not be recovered.
        RetryableError: the repository cannot be read, or the disk is full.
    """  # fmt: skip
    data, wal = folder / "data", folder / "wal"
    data.mkdir(parents=True, mode=0o700)
    _unpack(repository, base, data)
    repository.restore(point.snapshots["wal"], wal)
    found = wal / point.roots["wal"].lstrip("/")
    (data / "recovery.signal").touch()
    _give_to_server(folder)
    target = (
        {"recovery_target_name": point.cut.name} if moment is None else {"recovery_target_time": moment.isoformat()}
    )
    settings = target | {
        "restore_command": f'cp "{str(found).replace("%", "%%")}/%f" "%p"',
        "recovery_target_action": "promote",
        "recovery_target_timeline": "current",
    }
    with (
        temporary_server(data, point.postgres_major, state, settings) as dsn,
        psycopg.connect(f"{dsn} dbname={DATABASE}") as connection,
    ):
        again = connection.execute(DESTROY, [list(destroyed)]).rowcount if destroyed else 0
        loaded, applied = offsets_of(connection, _logs(point))
    return Recovered(loaded, applied, again)


def positions_of(data: Path, point: Point, state: Path) -> Recovered:
    """Return where an existing cluster is, whose server is stopped."""
    with (
        temporary_server(data, point.postgres_major, state, {}) as dsn,
        psycopg.connect(f"{dsn} dbname={DATABASE}") as connection,
    ):
        loaded, applied = offsets_of(connection, _logs(point))
    return Recovered(loaded, applied, 0)


def _logs(point: Point) -> set[str]:
    return {each.log_id for each in point.cut.lake.values()}


def _unpack(repository: Repository, base: Base, data: Path) -> None:
    with repository.opened(base.snapshot, f"/{BASE_FILE}") as stream:
        result = subprocess.run(
            ["tar", "--extract", "--file=-", f"--directory={data}"], stdin=stream, capture_output=True, check=False
        )
    if result.returncode != 0:
        said = result.stderr.decode(errors="replace").strip()[-400:]
        raise RetryableError(f"PostgreSQL's files could not be written to {data}: {said}")


def _give_to_server(folder: Path) -> None:
    unprivileged.give_ownership(folder)
    for path in folder.rglob("*"):
        unprivileged.give_ownership(path)
