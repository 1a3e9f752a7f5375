"""A run's build in the schemas marts_build and ml_build, from its start until it is published.

The comment of the schema `marts_build` contains the run id, the loaded offsets and the other metadata of the build.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from lakehouse.errors import PermanentError
from lakehouse.publishing import locks
from lakehouse.publishing.carry_over import (
    Basis,
    copy_marts,
    find_basis,
    hash_of_inputs,
    hash_of_objects,
    hash_of_withheld_events,
)
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class Build:
    """The build in marts_build. The schema is empty once the build is published (`published_as`)."""

    run_id: str | None
    offsets: dict[str, dict[str, int]]
    published_as: int | None


def prepare_build(dsn_transform: str, run_id: str, *, project: str | None = None) -> Basis | None:
    """Empty the build schemas for a run whose events have been loaded.

    Record the run, and the offsets up to which the build contains all events, in the comment of the schema. Return the
    publication that the build can start from, or None if all models must be built. `project` is the hash of the dbt
    project.
    """
    with publisher(dsn_transform) as connection:
        inputs = hash_of_inputs(connection, project)
        build = {"run_id": run_id, "offsets": _loaded_offsets(connection), "inputs": inputs}
        previous = read_metadata(connection)
        basis = find_basis(connection, previous, inputs)
        if basis is not None:
            build["withheld_before"] = previous.get("withheld")
        run_file(connection, "prepare_build", build=sql.Literal(json.dumps(build)))
    return basis


def copy_unchanged_marts(dsn_transform: str, publication_id: int, rebuilt: Collection[str]) -> None:
    """Copy the marts of a publication into the build schemas, except those that will be rebuilt."""
    with publisher(dsn_transform) as connection:
        copy_marts(connection, publication_id, rebuilt)


def withheld_events_changed(dsn_transform: str) -> bool:
    """Return whether the set of withheld events has changed since the previous build. If so, any mart can change."""
    with publisher(dsn_transform) as connection:
        return read_metadata(connection).get("withheld_before") != hash_of_withheld_events(connection)


def finish_build(dsn_transform: str, run_id: str) -> None:
    """Record that the build is complete, so that the next build can start from its publication."""
    with publisher(dsn_transform) as connection:
        build = read_metadata(connection)
        require_build_of(build_of(connection), run_id)
        hashes = {"objects": hash_of_objects(connection), "withheld": hash_of_withheld_events(connection)}
        text = json.dumps(build | hashes)
        connection.execute(sql.SQL("COMMENT ON SCHEMA marts_build IS {}").format(sql.Literal(text)))


def build_state(dsn: str) -> Build:
    """Return the build in marts_build."""
    with connect(dsn, application="okr-publication") as connection:
        return build_of(connection)


def read_metadata(connection: "Connection[Any]") -> dict[str, Any]:
    """Return the metadata of the newest build, whether it is still in marts_build or already published."""
    row = connection.execute("SELECT obj_description(to_regnamespace('marts_build'), 'pg_namespace')").fetchone()
    build: dict[str, Any] = json.loads(row[0]) if row and row[0] and row[0].startswith("{") else {}
    return build


def build_of(connection: "Connection[Any]") -> Build:
    """Return the build in marts_build, using an open connection."""
    build = read_metadata(connection)
    return Build(build.get("run_id"), build.get("offsets", {}), build.get("published_as"))


def require_build_of(build: Build, run_id: str) -> Build:
    """Return the build if it belongs to this run and is not published yet.

    Raises:
        PermanentError: it belongs to another run, or is already published.
    """
    if build.run_id != run_id or build.published_as is not None:
        raise PermanentError(
            f"marts_build contains the build of run {build.run_id}, not that of {run_id}: a later run has started. "
            "Run `okr dag start okr_etl_dag` instead of clearing this run's tasks."
        )
    return build


def _loaded_offsets(connection: "Connection[Any]") -> dict[str, dict[str, int]]:
    offsets: dict[str, dict[str, int]] = {}
    watermarks = connection.execute("SELECT topic, kafka_partition, next_offset FROM raw.load_watermark")
    for topic, partition, offset in watermarks:
        offsets.setdefault(topic, {})[str(partition)] = offset
    return offsets


@contextmanager
def publisher(dsn_transform: str) -> "Iterator[Connection[Any]]":
    """Open a connection with a lock that excludes other publications and build preparations.

    Readers do not have the privilege to take this lock.

    Raises:
        RetryableError: a lock timed out, because another publication has not finished or another session is using the
            build.
    """
    with connect(dsn_transform, application="okr-publication") as connection:
        limit = sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(locks.PUBLISHER_S * 1000))
        with locks.explained(connection, "Another publication did not finish", locks.PUBLISHER):
            connection.execute(limit)
            connection.execute("LOCK TABLE publishing.publisher IN EXCLUSIVE MODE")
        with locks.explained(
            connection, "Tables of a build or publication did not become free", locks.BUILT_OR_PUBLISHED
        ):
            yield connection


def run_file(connection: "Connection[Any]", name: str, **parts: sql.Composable) -> None:
    """Run a .sql file of this package with its placeholders filled in."""
    connection.execute(sql.SQL(read_sql("lakehouse.publishing", name)).format(**parts))
