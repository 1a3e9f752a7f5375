"""What marts_build and ml_build hold: a run's build, from when it is begun until it is published.

Whose build it is, and of which offsets, stands in the comment of the schema `marts_build`.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from lakehouse.errors import PermanentError
from lakehouse.publishing import locks
from lakehouse.publishing.carry_over import Basis, basis, carry, inputs, objects, withheld
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class Build:
    """What marts_build holds: the build of a run, or nothing any more since that was published."""

    run_id: str | None
    offsets: dict[str, dict[str, int]]
    published_as: int | None


def prepare_build(dsn_transform: str, run_id: str, *, project: str | None = None) -> Basis | None:
    """Empty the build schemas for one run, once everything that it builds from is loaded.

    Whose build it is, and up to which offsets events are in it at least, is kept as the schema's comment. Returned is
    what the build may begin with, if it is of the same dbt project (a hash) as the one before.
    """
    with publisher(dsn_transform) as connection:
        now = inputs(connection, project)
        build = {"run_id": run_id, "offsets": _loaded_offsets(connection), "inputs": now}
        before = comment(connection)
        found = basis(connection, before, now)
        if found is not None:
            build["withheld_before"] = before.get("withheld")
        run_file(connection, "prepare_build", build=sql.Literal(json.dumps(build)))
    return found


def begin_with(dsn_transform: str, publication_id: int, rebuilt: Collection[str]) -> None:
    """Put the marts of a publication into the build schemas, but for those that are built again."""
    with publisher(dsn_transform) as connection:
        carry(connection, publication_id, rebuilt)


def counts_other_events(dsn_transform: str) -> bool:
    """Tell whether other events are withheld now than when the build before ended, so that any mart may differ."""
    with publisher(dsn_transform) as connection:
        return comment(connection).get("withheld_before") != withheld(connection)


def finish_build(dsn_transform: str, run_id: str) -> None:
    """Record that every model of a build was built, so that the next build may begin with what it publishes."""
    with publisher(dsn_transform) as connection:
        build = comment(connection)
        require_build_of(build_of(connection), run_id)
        text = json.dumps(build | {"objects": objects(connection), "withheld": withheld(connection)})
        connection.execute(sql.SQL("COMMENT ON SCHEMA marts_build IS {}").format(sql.Literal(text)))


def build_state(dsn: str) -> Build:
    """Return what marts_build holds."""
    with connect(dsn, application="okr-publication") as connection:
        return build_of(connection)


def comment(connection: "Connection[Any]") -> dict[str, Any]:
    """Return what is known of the build that marts_build holds, or held until it was published."""
    row = connection.execute("SELECT obj_description(to_regnamespace('marts_build'), 'pg_namespace')").fetchone()
    build: dict[str, Any] = json.loads(row[0]) if row and row[0] and row[0].startswith("{") else {}
    return build


def build_of(connection: "Connection[Any]") -> Build:
    """Return what marts_build holds."""
    build = comment(connection)
    return Build(build.get("run_id"), build.get("offsets", {}), build.get("published_as"))


def require_build_of(build: Build, run_id: str) -> Build:
    """Return the build if it is this run's and not published yet.

    Raises:
        PermanentError: it is another run's, or is published.
    """
    if build.run_id != run_id or build.published_as is not None:
        raise PermanentError(
            f"marts_build holds the build of run {build.run_id}, not of {run_id}. A later run has begun since: "
            "start okr_etl_dag again instead of clearing this run's tasks."
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
    """Give a connection beside which nobody else prepares or publishes, by a lock that no reader can take.

    Raises:
        RetryableError: a lock was not to be had: another publication does not end, or somebody uses what is built.
    """
    with connect(dsn_transform, application="okr-publication") as connection:
        limit = sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(locks.PUBLISHER_S * 1000))
        with locks.explained(connection, "Another publication has not ended", locks.PUBLISHER):
            connection.execute(limit)
            connection.execute("LOCK TABLE publishing.publisher IN EXCLUSIVE MODE")
        with locks.explained(connection, "What is built or published was not free", locks.BUILT_OR_PUBLISHED):
            yield connection


def run_file(connection: "Connection[Any]", name: str, **parts: sql.Composable) -> None:
    """Run a .sql file of this package with its parts filled in."""
    connection.execute(sql.SQL(read_sql("lakehouse", name)).format(**parts))
