"""Write-audit-publish: dbt builds where nobody reads, the gate checks, and one transaction switches all marts at once.

Readers know the views in `marts` and `ml`. dbt builds into `marts_build` and `ml_build`; `publish` makes that an
immutable version (`marts_v<id>`, `ml_v<id>`) and lets the views show it (`lakehouse.publishing`). The versions
before stay (KEPT), so that going back is one transaction too. After a rollback nothing is published until `resume`:
the next run would bring the same data back.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import class_row

from lakehouse.errors import PermanentError
from lakehouse.marts_build import Build, build_of, comment, publisher, require_build_of, run_file
from lakehouse.publishing import views
from lakehouse.publishing.old_versions import drop_old_versions
from lakehouse.publishing.switch import switch_to
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from psycopg import Connection

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
    rolled_back_at: datetime | None = None


COLUMNS = "publication_id, published_at, data_as_of, offsets, dbt_run_id, model_version, is_current, rolled_back_at"


def publish(dsn_transform: str, *, gate: Mapping[str, Any], model_version: str | None) -> Publication:
    """Let readers see the build that a gate's report is of, in one transaction, and record the publication.

    It may be repeated: a build that is published already is not published twice, its publication is returned.

    Raises:
        PermanentError: the report's build is not there any more or was rolled back, its gate did not pass or checked
            nothing, or publishing is held.
        RetryableError: the warehouse is away, another publication does not end, or a mart whose columns changed was
            in use all the time.
    """
    run_id = _require_passed(gate)
    with publisher(dsn_transform) as connection:
        _require_not_held(connection)
        build = build_of(connection)
        published = _published(connection, build, run_id)
        if published is None:
            known = {"dbt_run_id": run_id, "gate": gate, "model_version": model_version}
            published = _publish(connection, require_build_of(build, run_id), known)
        drop_old_versions(connection, KEPT)
    return published


def name_model(dsn_transform: str, publication_id: int, version: str | None) -> None:
    """Record which forecast model answers while a publication is the current one, unless that is known."""
    with connect(dsn_transform, application="okr-publication") as connection:
        connection.execute(
            "UPDATE ops.publication SET model_version = %s "
            "WHERE publication_id = %s AND is_current AND model_version IS NULL",
            (version, publication_id),
        )


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
    with publisher(dsn_transform) as connection:
        older = connection.execute(read_sql("lakehouse", "rollback_target").encode()).fetchone()
        if older is None:
            raise PermanentError("No older publication is kept, so there is nothing to go back to.")
        connection.execute("UPDATE ops.publication SET rolled_back_at = now(), resumed_at = NULL WHERE is_current")
        back = _switch(connection, int(str(older[0])))
        drop_old_versions(connection, KEPT)
    return back


def resume(dsn_transform: str) -> list[int]:
    """Let publishing go on after a rollback; return what was rolled back and is dropped once nobody reads it."""
    with publisher(dsn_transform) as connection:
        rejected = connection.execute(
            "UPDATE ops.publication SET resumed_at = now() WHERE rolled_back_at IS NOT NULL AND resumed_at IS NULL "
            "RETURNING publication_id"
        ).fetchall()
        drop_old_versions(connection, KEPT)
    return sorted(int(str(publication_id)) for (publication_id,) in rejected)


def _require_passed(gate: Mapping[str, Any]) -> str:
    """Return whose build the report of a marts gate lets pass."""
    run_id = gate.get("run_id")
    if not run_id or not gate.get("passed") or gate.get("gate") != "marts":
        raise PermanentError(
            f"Run {run_id} may not be published: its marts gate did not pass. The publication before it stays."
        )
    if not gate.get("checked_rows"):
        raise PermanentError(f"Run {run_id} may not be published: its gate checked no row. The publication stays.")
    return str(run_id)


def _require_not_held(connection: "Connection[Any]") -> None:
    held = connection.execute(
        "SELECT max(publication_id) FROM ops.publication WHERE rolled_back_at IS NOT NULL AND resumed_at IS NULL"
    ).fetchone()
    if held and held[0] is not None:
        raise PermanentError(
            f"Publication {held[0]} was rolled back, so nothing is published until its cause is fixed: say "
            "`okr publication resume` then, and start okr_etl_dag."
        )


def _published(connection: "Connection[Any]", build: Build, run_id: str) -> Publication | None:
    """Return this run's publication if its build is published already, whoever builds now."""
    if build.run_id == run_id and build.published_as is None:
        return None
    query = "SELECT {} FROM ops.publication WHERE dbt_run_id = %s ORDER BY publication_id DESC LIMIT 1"
    with connection.cursor(row_factory=class_row(Publication)) as cursor:
        published = cursor.execute(sql.SQL(query).format(sql.SQL(COLUMNS)), (run_id,)).fetchone()
    if published is not None and published.rolled_back_at is not None:
        raise PermanentError(
            f"Run {run_id} was published as {published.publication_id}, which was rolled back and is not shown again: "
            "start okr_etl_dag, or clear this run from its task dbt on."
        )
    return published


def _publish(connection: "Connection[Any]", build: Build, known: Mapping[str, Any]) -> Publication:
    rows = _rows_built(connection, {suite["table"]: suite["rows"] for suite in known["gate"].get("suites", ())})
    if not rows:
        raise PermanentError("marts_build holds no table: run the dbt models before publishing.")
    noted = comment(connection)
    values = {**known, "rows": rows, "offsets": build.offsets, "inputs": noted.get("inputs")}
    publication_id = _record(connection, values)
    empty = json.dumps(noted | {"published_as": publication_id})
    names = {schema: sql.Identifier(f"{schema}_v{publication_id}") for schema in views.SCHEMAS}
    run_file(connection, "turn_build_into_version", build=sql.Literal(empty), **names)
    return _switch(connection, publication_id)


def _switch(connection: "Connection[Any]", publication_id: int) -> Publication:
    """Let readers see a version, and commit."""
    switch_to(connection, publication_id)
    connection.execute("UPDATE ops.publication SET is_current = false WHERE is_current")
    connection.execute("UPDATE ops.publication SET is_current = true WHERE publication_id = %s", (publication_id,))
    shown = _current(connection)
    assert shown is not None  # noqa: S101 -- written above, in the same transaction
    views.commit(connection)
    return shown


def _current(connection: "Connection[Any]") -> Publication | None:
    with connection.cursor(row_factory=class_row(Publication)) as cursor:
        query = sql.SQL("SELECT {} FROM ops.publication WHERE is_current").format(sql.SQL(COLUMNS))
        return cursor.execute(query).fetchone()


def _rows_built(connection: "Connection[Any]", counted: Mapping[str, int]) -> dict[str, int]:
    """Return the rows of each table built; the gate has counted most of them, in this very build."""
    tables = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'marts_build' ORDER BY 1"
    ).fetchall()
    count = sql.SQL("SELECT count(*) FROM marts_build.{}")
    return {
        name: counted[name] if name in counted else connection.execute(count.format(sql.Identifier(name))).fetchone()[0]  # type: ignore[index]
        for (name,) in tables
    }


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
