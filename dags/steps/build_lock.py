"""The id of a build, which gates and publications refer to, and the lock that allows only one build at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dags.steps.task_adapter import run_id, try_number
from lakehouse.errors import RetryableError
from lakehouse.retry import attempts
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

ADVISORY_LOCK_ID = 7_405_003  # held by the session that builds; PostgreSQL releases it when the process dies
MAX_WAIT_S = 60.0


def build_id() -> str:
    """Return the id of this try's build: the run id, followed by the try number from the second try on.

    Each try needs its own id, because the build of an earlier try may already be validated or published.
    """
    number = try_number()
    return run_id() if number == 1 else f"{run_id()}~{number}"


@contextmanager
def hold_build_lock(dsn_transform: str) -> Iterator[None]:
    """Hold the build lock, because a try that Airflow considers dead may still be writing to the build schemas.

    Raises:
        RetryableError: another build still held the lock after a minute.
    """
    with connect(dsn_transform, application="okr-build", autocommit=True) as connection:
        attempts(RetryableError, MAX_WAIT_S, pause_s=0.5)(_acquire, connection)
        yield


def published_gate_report(settings: Settings, build: str) -> dict[str, Any] | None:
    """Return the gate report of a build if that build is already published, else None.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(settings.require("dsn_transform"), application="okr-publication") as connection:
        row = connection.execute(read_sql("dags.steps", "published_gate_report"), {"build_id": build}).fetchone()
    return dict(row[0]) if row else None  # type: ignore[call-overload]


def _acquire(connection: Any) -> None:
    if not connection.execute("SELECT pg_try_advisory_lock(%s)", (ADVISORY_LOCK_ID,)).fetchone()[0]:
        raise RetryableError(
            f"Another build of the marts is still running after {MAX_WAIT_S:.0f} s (application okr-build in "
            "pg_stat_activity). This build starts when that one has finished."
        )
