"""Write-audit-publish: dbt builds into hidden schemas, a gate checks the build, and one transaction switches all marts.

Readers use the views in `marts` and `ml`. dbt builds into `marts_build` and `ml_build`. `publish` turns the build into
an immutable version (`marts_v<id>`, `ml_v<id>`) and makes the views show it (`switch_views.py`, `views.py`). The two
previous versions are retained (KEPT_VERSIONS), so a rollback is a single transaction, too. After a rollback,
publications are on hold until `resume`; otherwise the next run would publish the same data again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import class_row

from lakehouse.errors import NotPossible, PermanentError
from lakehouse.publishing import views
from lakehouse.publishing.marts_build import Build, build_of, publisher, read_metadata, require_build_of, run_file
from lakehouse.publishing.old_versions import drop_old_versions
from lakehouse.publishing.switch_views import switch_to
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from psycopg import Connection

KEPT_VERSIONS = 2  # number of previous publications to which a rollback can return


@dataclass(frozen=True)
class Publication:
    """One row of ops.publication: a version of the marts that readers see now or saw earlier.

    `offsets` maps topic -> partition -> next offset, `rows` maps mart -> row count. `rolled_back_at` is null unless the
    publication was rolled back; publications are then on hold until `resumed_at`.
    """

    publication_id: int
    published_at: datetime
    data_as_of: datetime
    offsets: dict[str, dict[str, int]]
    dbt_run_id: str
    model_version: str | None
    is_current: bool
    rolled_back_at: datetime | None = None
    resumed_at: datetime | None = None
    rows: dict[str, int] = field(default_factory=dict)


COLUMNS = (
    "publication_id, published_at, data_as_of, offsets, dbt_run_id, model_version, is_current, rolled_back_at, "
    "resumed_at, rows"
)


def publish(dsn_transform: str, *, gate: Mapping[str, Any], model_version: str | None) -> Publication:
    """Publish the build that a gate report describes, in one transaction, and record the publication.

    The call is idempotent: for a build that is already published, it returns the existing publication.

    Raises:
        PermanentError: the build no longer exists or was rolled back, its gate did not pass or checked no row, or
            publications are on hold.
        RetryableError: the warehouse is unreachable, another publication has not finished, or a mart whose columns
            changed was in use for the whole waiting time.
    """
    run_id = _require_passed(gate)
    with publisher(dsn_transform) as connection:
        _require_no_hold(connection)
        build = build_of(connection)
        published = _published(connection, build, run_id)
        if published is None:
            details = {"dbt_run_id": run_id, "gate": gate, "model_version": model_version}
            published = _publish(connection, require_build_of(build, run_id), details)
        drop_old_versions(connection, KEPT_VERSIONS)
    return published


def record_model_version(dsn_transform: str, publication_id: int, version: str | None) -> None:
    """Record which model version serves the current publication, unless one is already recorded."""
    with connect(dsn_transform, application="okr-publication") as connection:
        connection.execute(
            "UPDATE ops.publication SET model_version = %s "
            "WHERE publication_id = %s AND is_current AND model_version IS NULL",
            (version, publication_id),
        )


def current(dsn: str) -> Publication | None:
    """Return the current publication, or None before the first one."""
    with connect(dsn, application="okr-publication") as connection:
        return read_current(connection)


def read_current(connection: "Connection[Any]") -> Publication | None:
    """Return the current publication, using an open connection."""
    with connection.cursor(row_factory=class_row(Publication)) as cursor:
        query = sql.SQL("SELECT {} FROM ops.publication WHERE is_current").format(sql.SQL(COLUMNS))
        return cursor.execute(query).fetchone()


def history(dsn: str, limit: int = 20) -> list[Publication]:
    """Return the newest publications, newest first."""
    with connect(dsn, application="okr-publication") as connection:
        return read_history(connection, limit)


def read_history(connection: "Connection[Any]", limit: int, before: int | None = None) -> list[Publication]:
    """Return the newest publications, or the newest before one of them, using an open connection."""
    query = "SELECT {} FROM ops.publication WHERE %s::bigint IS NULL OR publication_id < %s ORDER BY 1 DESC LIMIT %s"
    with connection.cursor(row_factory=class_row(Publication)) as cursor:
        return cursor.execute(sql.SQL(query).format(sql.SQL(COLUMNS)), (before, before, limit)).fetchall()


@dataclass(frozen=True)
class Rollback:
    """The result of a rollback: the publication that is current now, and whether this call changed it."""

    restored: Publication
    is_changed: bool


def rollback(dsn_transform: str, *, current_publication_id: int | None = None) -> Rollback:
    """Make the previous publication current again and put publications on hold until `resume`.

    `current_publication_id` is the publication that the caller sees as current. With it, the call can be repeated: if
    that publication has already been rolled back, nothing changes.

    Raises:
        NotPossible: there is no older version to return to, or another publication is current.
    """
    with publisher(dsn_transform) as connection:
        if current_publication_id is not None:
            restored_before = _current_if_rolled_back(connection, current_publication_id)
            if restored_before is not None:
                return Rollback(restored_before, is_changed=False)
        older = connection.execute(read_sql("lakehouse.publishing", "rollback_target").encode()).fetchone()
        if older is None:
            raise NotPossible("There is no older publication to roll back to.")
        connection.execute("UPDATE ops.publication SET rolled_back_at = now(), resumed_at = NULL WHERE is_current")
        restored = _switch(connection, int(str(older[0])))
        drop_old_versions(connection, KEPT_VERSIONS)
    return Rollback(restored, is_changed=True)


def resume(dsn_transform: str) -> list[int]:
    """End the hold after a rollback; return the publications that were rolled back and will be dropped."""
    with publisher(dsn_transform) as connection:
        rolled_back = connection.execute(
            "UPDATE ops.publication SET resumed_at = now() WHERE rolled_back_at IS NOT NULL AND resumed_at IS NULL "
            "RETURNING publication_id"
        ).fetchall()
        drop_old_versions(connection, KEPT_VERSIONS)
    return sorted(int(str(publication_id)) for (publication_id,) in rolled_back)


def _current_if_rolled_back(connection: "Connection[Any]", publication_id: int) -> Publication | None:
    """Return None if a publication is current; if it has been rolled back, return the one that is current now."""
    current_publication = read_current(connection)
    if current_publication is None or current_publication.publication_id == publication_id:
        return None
    rolled_back = connection.execute(
        "SELECT 1 FROM ops.publication WHERE publication_id = %s AND rolled_back_at IS NOT NULL AND resumed_at IS NULL",
        (publication_id,),
    ).fetchone()
    if rolled_back is None:
        raise NotPossible(
            f"Publication {current_publication.publication_id} is current, not {publication_id}. Nothing was changed."
        )
    return current_publication


def _require_passed(gate: Mapping[str, Any]) -> str:
    """Return the run id of a marts gate report that passed."""
    run_id = gate.get("run_id")
    if not run_id or not gate.get("passed") or gate.get("gate") != "marts":
        raise PermanentError(
            f"Run {run_id} cannot be published: its marts gate did not pass. The current publication is unchanged."
        )
    if not gate.get("checked_rows"):
        raise PermanentError(
            f"Run {run_id} cannot be published: its gate checked no row. The current publication is unchanged."
        )
    return str(run_id)


def _require_no_hold(connection: "Connection[Any]") -> None:
    newest = connection.execute(
        "SELECT max(publication_id) FROM ops.publication WHERE rolled_back_at IS NOT NULL AND resumed_at IS NULL"
    ).fetchone()
    if newest and newest[0] is not None:
        raise PermanentError(
            f"Publication {newest[0]} was rolled back, so publications are on hold. Fix the cause, then run "
            "`okr publication resume` and `okr dag start okr_etl_dag`."
        )


def _published(connection: "Connection[Any]", build: Build, run_id: str) -> Publication | None:
    """Return this run's publication if its build is already published, even if another run is now building."""
    if build.run_id == run_id and build.published_as is None:
        return None
    query = "SELECT {} FROM ops.publication WHERE dbt_run_id = %s ORDER BY publication_id DESC LIMIT 1"
    with connection.cursor(row_factory=class_row(Publication)) as cursor:
        published = cursor.execute(sql.SQL(query).format(sql.SQL(COLUMNS)), (run_id,)).fetchone()
    if published is not None and published.rolled_back_at is not None:
        raise PermanentError(
            f"Run {run_id} was published as {published.publication_id}, which was rolled back and cannot be "
            "published again. Run `okr dag start okr_etl_dag`, or clear this run's tasks from `dbt` onwards."
        )
    return published


def _publish(connection: "Connection[Any]", build: Build, details: Mapping[str, Any]) -> Publication:
    rows = _rows_built(connection, {suite["table"]: suite["rows"] for suite in details["gate"].get("suites", ())})
    if not rows:
        raise PermanentError("marts_build has no table: run the dbt models before publishing.")
    build_metadata = read_metadata(connection)
    values = {**details, "rows": rows, "offsets": build.offsets, "inputs": build_metadata.get("inputs")}
    publication_id = _record(connection, values)
    metadata = json.dumps(build_metadata | {"published_as": publication_id})
    names = {schema: sql.Identifier(f"{schema}_v{publication_id}") for schema in views.SCHEMAS}
    run_file(connection, "turn_build_into_version", build=sql.Literal(metadata), **names)
    return _switch(connection, publication_id)


def _switch(connection: "Connection[Any]", publication_id: int) -> Publication:
    """Make a version visible to readers, and commit."""
    switch_to(connection, publication_id)
    connection.execute("UPDATE ops.publication SET is_current = false WHERE is_current")
    connection.execute("UPDATE ops.publication SET is_current = true WHERE publication_id = %s", (publication_id,))
    shown = read_current(connection)
    assert shown is not None  # noqa: S101 -- written above, in the same transaction
    views.commit(connection)
    return shown


def _rows_built(connection: "Connection[Any]", counted: Mapping[str, int]) -> dict[str, int]:
    """Return the row count of each table in the build; the gate has already counted most of them."""
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
        read_sql("lakehouse.publishing", "record_publication").encode(), {**values, **documents, **times}
    ).fetchone()
    return int(row[0])  # type: ignore[index]
