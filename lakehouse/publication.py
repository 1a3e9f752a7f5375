"""Write-audit-publish: dbt builds where nobody reads, the gate judges, and one transaction swaps all marts at once.

Schemas: `marts`, `ml` (read by everybody) <- `marts_build`, `ml_build` (built, judged). Those before are kept as
`marts_old_<id>`, `ml_old_<id>`, so that going back is a rename too. What was rolled back is `marts_rejected_<id>`, and
while there is one nothing is published: the next run would bring the same data back.
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


def prepare_build(dsn_transform: str, run_id: str) -> None:
    """Empty the build schemas for one run, once everything that it builds from is loaded.

    Whose build it is, and up to which offsets events are in it at least, is kept as the schema's comment.
    """
    with connect(dsn_transform, application="okr-publication") as connection:
        _lock(connection)
        build = json.dumps({"run_id": run_id, "offsets": _loaded_offsets(connection)})
        _run(connection, "prepare_build", build=sql.Literal(build))


def publish(dsn_transform: str, *, dbt_run_id: str, gate: Mapping[str, Any], model_version: str | None) -> Publication:
    """Swap the built marts in, in one transaction, and record the publication.

    Raises:
        PermanentError: the build is not this run's, its gate did not pass or checked nothing, or publishing is held.
    """
    _require_passed(gate, dbt_run_id)
    with connect(dsn_transform, application="okr-publication") as connection:
        _lock(connection)
        _require_not_held(connection)
        offsets = _offsets_of_build(connection, dbt_run_id)
        rows = _rows_built(connection)
        if not rows:
            raise PermanentError("marts_build holds no table: run the dbt models before publishing.")
        before = _current(connection)
        known = {"dbt_run_id": dbt_run_id, "gate": gate, "model_version": model_version}
        publication_id = _record(connection, {**known, "rows": rows, "offsets": offsets})
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
    """Make the newest kept publication older than the current one current again, and hold publishing until `resume`.

    Raises:
        PermanentError: no older publication is kept.
    """
    with connect(dsn_transform, application="okr-publication") as connection:
        _lock(connection)
        now = _current(connection)
        older = [i for i in _ids(connection, "old") if now and 0 < i < now.publication_id]
        if not now or not older:
            raise PermanentError("No older publication is kept, so there is nothing to go back to.")
        _swap(connection, incoming=f"old_{older[-1]}", retired=f"rejected_{now.publication_id}")
        connection.execute(
            "UPDATE ops.publication SET is_current = false, rolled_back_at = now(), resumed_at = NULL WHERE is_current"
        )
        connection.execute("UPDATE ops.publication SET is_current = true WHERE publication_id = %s", (older[-1],))
        back = _current(connection)
    assert back is not None  # noqa: S101 -- written above, in the same transaction
    return back


def resume(dsn_transform: str) -> list[int]:
    """Let publishing go on after a rollback; drop what was rolled back and return its publication ids."""
    with connect(dsn_transform, application="okr-publication") as connection:
        _lock(connection)
        rejected = _ids(connection, "rejected")
        for publication_id in rejected:
            _drop(connection, f"rejected_{publication_id}")
        connection.execute(
            "UPDATE ops.publication SET resumed_at = now() WHERE rolled_back_at IS NOT NULL AND resumed_at IS NULL"
        )
    return rejected


def _require_passed(gate: Mapping[str, Any], run_id: str) -> None:
    """Ask the report for everything that makes it the judgement of this run's marts."""
    if not gate.get("passed") or gate.get("gate") != "marts" or gate.get("run_id") != run_id:
        raise PermanentError(
            f"Run {run_id} may not be published: its marts gate did not pass. The publication before it stays."
        )
    if not gate.get("checked_rows"):
        raise PermanentError(f"Run {run_id} may not be published: its gate checked no row. The publication stays.")


def _require_not_held(connection: "Connection[Any]") -> None:
    if rejected := _ids(connection, "rejected"):
        raise PermanentError(
            f"Publication {rejected[-1]} was rolled back, so nothing is published until its cause is mended: say "
            "`okr publication resume` then, and start okr_etl_dag."
        )


def _offsets_of_build(connection: "Connection[Any]", run_id: str) -> dict[str, dict[str, int]]:
    row = connection.execute("SELECT obj_description(to_regnamespace('marts_build'), 'pg_namespace')").fetchone()
    build: dict[str, Any] = json.loads(row[0]) if row and row[0] and row[0].startswith("{") else {}
    if build.get("run_id") != run_id:
        raise PermanentError(
            f"marts_build holds the build of run {build.get('run_id')}, not of {run_id}. A later run has begun since: "
            "start okr_etl_dag anew instead of clearing this run's tasks."
        )
    offsets: dict[str, dict[str, int]] = build["offsets"]
    return offsets


def _loaded_offsets(connection: "Connection[Any]") -> dict[str, dict[str, int]]:
    offsets: dict[str, dict[str, int]] = {}
    watermarks = connection.execute("SELECT topic, kafka_partition, next_offset FROM raw.load_watermark")
    for topic, partition, offset in watermarks:
        offsets.setdefault(topic, {})[str(partition)] = offset
    return offsets


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


def _record(connection: "Connection[Any]", values: Mapping[str, Any]) -> int:
    as_of = connection.execute("SELECT data_as_of FROM intermediate.int_data_as_of").fetchone()
    if as_of is None or as_of[0] is None:
        raise PermanentError("raw.okr_user_events was empty when the marts were built: load events before publishing.")
    documents = {name: json.dumps(values[name], default=str) for name in ("offsets", "gate", "rows")}
    times = {"published_at": datetime.now(UTC), "data_as_of": as_of[0]}
    row = connection.execute(
        read_sql("lakehouse", "record_publication").encode(), {**values, **documents, **times}
    ).fetchone()
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


def _ids(connection: "Connection[Any]", kind: str) -> list[int]:
    """Return the publications that are kept as `marts_<kind>_<id>`, oldest first; kind is old or rejected."""
    names = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ %s", (f"^marts_{kind}_[0-9]+$",))
    return sorted(int(name.rpartition("_")[2]) for (name,) in names.fetchall())


def _drop(connection: "Connection[Any]", suffix: str) -> None:
    for schema in ("marts", "ml"):
        name = sql.Identifier(f"{schema}_{suffix}")
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))


def _drop_outdated(dsn_transform: str) -> None:
    """Drop publications beyond KEPT. One that a reader is still busy in stays until a later publication tries again."""
    with connect(dsn_transform, application="okr-publication", autocommit=True) as connection:
        now = _current(connection)
        others = [i for i in _ids(connection, "old") if now is None or i != now.publication_id]
        for outdated in others[:-KEPT]:
            try:
                with connection.transaction():
                    connection.execute("SET LOCAL lock_timeout = '1s'")
                    _drop(connection, f"old_{outdated}")
            except psycopg.errors.LockNotAvailable:
                return
