"""Write-audit-publish: dbt builds where nobody reads, the gate judges, and one transaction swaps all marts at once.

Schemas: `marts`, `ml` (read by everybody) <- `marts_build`, `ml_build` (built, judged) ; the publication before is kept
as `marts_old_<id>`, `ml_old_<id>`, so that going back is a rename too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from lakehouse.errors import PermanentError
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from psycopg import Connection

LOCK = 7_405_001  # advisory lock: one publication or build preparation at a time
KEPT = 2  # publications kept beside the current one


@dataclass(frozen=True)
class Publication:
    """What readers see: one row of ops.publication. `offsets` maps topic -> partition -> next offset."""

    publication_id: int
    published_at: datetime
    data_as_of: datetime
    offsets: dict[str, dict[str, int]]
    dbt_run_id: str
    model_version: str | None
    is_current: bool


COLUMNS = "publication_id, published_at, data_as_of, offsets, dbt_run_id, model_version, is_current"


def prepare_build(dsn_transform: str) -> None:
    """Empty the build schemas, so that what is published holds nothing of a run before."""
    with connect(dsn_transform, application="okr-publication") as connection:
        _lock(connection)
        connection.execute(read_sql("lakehouse", "prepare_build").encode())


def publish(dsn_transform: str, *, dbt_run_id: str, gate: Mapping[str, Any], model_version: str | None) -> Publication:
    """Swap the built marts in, in one transaction, and record the publication.

    Raises:
        PermanentError: nothing was built, or the gate's report does not say that it passed.
    """
    if not gate.get("passed"):
        raise PermanentError(f"Run {dbt_run_id} may not be published: its gate did not pass. The publication stays.")
    with connect(dsn_transform, application="okr-publication") as connection:
        _lock(connection)
        rows = _rows_built(connection)
        if not rows:
            raise PermanentError("marts_build holds no table: run the dbt models before publishing.")
        before = _current(connection)
        publication_id = _record(connection, dbt_run_id, gate, model_version, rows)
        _run(connection, "mart_publication", publication_id=sql.Literal(publication_id))
        _swap(connection, incoming="build", retired=f"old_{before.publication_id if before else 0}")
        connection.execute("UPDATE ops.publication SET is_current = true WHERE publication_id = %s", (publication_id,))
        published = _current(connection)
    assert published is not None  # noqa: S101 -- written above, in the same transaction
    _drop_outdated(dsn_transform)
    return published


def current(dsn: str) -> Publication | None:
    """Return what readers see now, or None before the first publication."""
    with connect(dsn, application="okr-publication") as connection:
        return _current(connection)


def history(dsn: str, limit: int = 20) -> list[Publication]:
    """Return the newest publications, newest first."""
    with connect(dsn) as connection, connection.cursor(row_factory=class_row(Publication)) as cursor:
        query = sql.SQL("SELECT {} FROM ops.publication ORDER BY publication_id DESC LIMIT %s")
        return cursor.execute(query.format(sql.SQL(COLUMNS)), (limit,)).fetchall()


def rollback(dsn_transform: str) -> Publication:
    """Make the newest kept publication older than the current one current again; the current one is kept beside it.

    Raises:
        PermanentError: no older publication is kept.
    """
    with connect(dsn_transform, application="okr-publication") as connection:
        _lock(connection)
        now = _current(connection)
        older = [i for i in _kept(connection) if now and 0 < i < now.publication_id]
        if not now or not older:
            raise PermanentError("No older publication is kept, so there is nothing to go back to.")
        _swap(connection, incoming=f"old_{older[-1]}", retired=f"old_{now.publication_id}")
        connection.execute("UPDATE ops.publication SET is_current = false WHERE is_current")
        connection.execute("UPDATE ops.publication SET is_current = true WHERE publication_id = %s", (older[-1],))
        back = _current(connection)
    assert back is not None  # noqa: S101 -- written above, in the same transaction
    return back


def _lock(connection: "Connection[Any]") -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))


def _current(connection: "Connection[Any]") -> Publication | None:
    with connection.cursor(row_factory=class_row(Publication)) as cursor:
        query = sql.SQL("SELECT {} FROM ops.publication WHERE is_current").format(sql.SQL(COLUMNS))
        return cursor.execute(query).fetchone()


def _rows_built(connection: "Connection[Any]") -> dict[str, int]:
    tables = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'marts_build' AND tablename <> 'publication' ORDER BY 1"
    ).fetchall()
    count = sql.SQL("SELECT count(*) FROM marts_build.{}")
    return {name: connection.execute(count.format(sql.Identifier(name))).fetchone()[0] for (name,) in tables}  # type: ignore[index]


def _record(
    connection: "Connection[Any]", run_id: str, gate: Mapping[str, Any], model_version: str | None, rows: dict[str, int]
) -> int:
    offsets: dict[str, dict[str, int]] = {}
    for topic, partition, offset in connection.execute(
        "SELECT topic, kafka_partition, next_offset FROM raw.load_watermark"
    ):
        offsets.setdefault(topic, {})[str(partition)] = offset
    as_of = connection.execute("SELECT max(recorded_at) FROM raw.okr_user_events").fetchone()
    if as_of is None or as_of[0] is None:
        raise PermanentError("raw.okr_user_events is empty: load events before publishing.")
    values = {
        "published_at": datetime.now(UTC), "data_as_of": as_of[0], "offsets": json.dumps(offsets), "dbt_run_id": run_id,
        "gate": json.dumps(gate, default=str), "model_version": model_version, "rows": json.dumps(rows),
    }  # fmt: skip
    row = connection.execute(read_sql("lakehouse", "record_publication").encode(), values).fetchone()
    return int(row[0])  # type: ignore[index]


def _swap(connection: "Connection[Any]", *, incoming: str, retired: str) -> None:
    names = {
        f"{side}_{schema}": sql.Identifier(f"{schema}_{suffix}")
        for side, suffix in (("incoming", incoming), ("retired", retired))
        for schema in ("marts", "ml")
    }
    _run(connection, "publish", **names)


def _run(connection: "Connection[Any]", name: str, **parts: sql.Composable) -> None:
    connection.execute(sql.SQL(read_sql("lakehouse", name)).format(**parts))


def _kept(connection: "Connection[Any]") -> list[int]:
    names = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^marts_old_[0-9]+$'").fetchall()
    return sorted(int(name.rpartition("_")[2]) for (name,) in names)


def _drop_outdated(dsn_transform: str) -> None:
    """Drop publications beyond KEPT. One that a reader is still busy in stays until a later publication tries again."""
    with connect(dsn_transform, application="okr-publication", autocommit=True) as connection:
        now = _current(connection)
        others = [i for i in _kept(connection) if now is None or i != now.publication_id]
        for outdated in others[:-KEPT]:
            try:
                with connection.transaction():
                    connection.execute("SET LOCAL lock_timeout = '1s'")
                    for schema in ("marts", "ml"):
                        name = sql.Identifier(f"{schema}_old_{outdated}")
                        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))
            except psycopg.errors.LockNotAvailable:
                return
