"""The published views and the partitioned tables behind them. ADR 14 explains the design.

    marts.fct_x         a view; its name, grants and comments are stable       readers use it
    marts_store.fct_x   a table partitioned by `published_version`             the view reads it
    marts_v12.fct_x     a partition: the mart as of publication 12             built by dbt, immutable

One transaction attaches the partitions of a version and switches the views to it. Readers do not wait for it. A view is
locked, briefly, only if its mart was removed or its columns changed (`lakehouse.publishing.changed_columns`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from lakehouse.warehouse import read_sql

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMAS = ("marts", "ml")
KEY = "published_version"  # the partition key: a publication id; no column of a mart has this name

Columns = tuple[tuple[str, str], ...]  # name and type, in order, without KEY


@dataclass(frozen=True, order=True)
class Mart:
    """A mart: the schema of its view, and its name."""

    schema: str
    name: str

    @property
    def view(self) -> sql.Identifier:
        """Return the view that readers use."""
        return sql.Identifier(self.schema, self.name)

    def store(self, suffix: str = "") -> sql.Identifier:
        """Return the partitioned table that the view reads."""
        return sql.Identifier(f"{self.schema}_store", self.name + suffix)

    def partition(self, publication_id: int, suffix: str = "") -> sql.Identifier:
        """Return the partition of one publication."""
        return sql.Identifier(f"{self.schema}_v{publication_id}", self.name + suffix)


def statement(text: str, *parts: sql.Composable) -> sql.Composed:
    """Return a statement with its identifiers and literals filled in."""
    return sql.SQL(text).format(*parts)


def built(connection: "Connection[Any]", publication_id: int) -> dict[Mart, Columns]:
    """Return the marts of one version with their columns."""
    return _columns(connection, f"_v{publication_id}")


def stored(connection: "Connection[Any]") -> dict[Mart, Columns]:
    """Return the partitioned tables behind the views with their columns."""
    return _columns(connection, "_store")


def views(connection: "Connection[Any]") -> set[Mart]:
    """Return the marts that have a view."""
    rows = connection.execute(
        "SELECT schemaname, viewname FROM pg_views "
        "WHERE schemaname = ANY(%s) AND (schemaname, viewname) <> ('marts', 'publication')",
        (list(SCHEMAS),),
    )
    return {Mart(schema, name) for schema, name in rows.fetchall()}


def create_store(connection: "Connection[Any]", mart: Mart, columns: Columns, suffix: str = "") -> None:
    """Create the partitioned table of a mart, without partitions, and restrict its readers by organisation."""
    listed = sql.SQL(", ").join(
        statement("{} {}", sql.Identifier(name), sql.SQL(type_name)) for name, type_name in (*columns, (KEY, "bigint"))
    )
    store = mart.store(suffix)
    connection.execute(statement("CREATE TABLE {} ({}) PARTITION BY LIST ({})", store, listed, sql.Identifier(KEY)))
    # Revision 0019 publishes before revision 0048, which restricts the readers of all tables that exist by then.
    if connection.execute("SELECT to_regprocedure('publishing.restrict_readers(regclass)')").fetchone() != (None,):
        restrict = "SELECT publishing.restrict_readers({}::regclass)"
        connection.execute(statement(restrict, sql.Literal(store.as_string(connection))))


def create_view(connection: "Connection[Any]", mart: Mart, columns: Columns) -> None:
    """Create the view of a mart; the default privileges of the schema grant read access."""
    names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns)
    view = sql.SQL(read_sql("lakehouse.publishing", "mart_view"))
    connection.execute(view.format(view=mart.view, store=mart.store(), columns=names))


def prepare_partition(connection: "Connection[Any]", mart: Mart, publication_id: int) -> None:
    """Add the partition key to a version's table, without rewriting rows, and exclude the table from autovacuum.

    Its rows never change, and the build has analyzed it. A later analysis would replace the statistics that
    `record_switch` sets, and the planner would expect the rows of this version in addition to those of the current one.
    """
    add = "ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} bigint NOT NULL DEFAULT {}, SET (autovacuum_enabled = false)"
    key = sql.Identifier(KEY)
    connection.execute(statement(add, mart.partition(publication_id), key, sql.Literal(publication_id)))


def attach(
    connection: "Connection[Any]", store: sql.Identifier, partition: sql.Identifier, publication_id: int
) -> None:
    """Attach a table as a partition. The lock for this does not block readers of the other partitions."""
    add = "ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})"
    connection.execute(statement(add, store, partition, sql.Literal(publication_id)))


def copy_comments(connection: "Connection[Any]", publication_id: int) -> None:
    """Copy the comments of a version's tables and columns, which dbt wrote, to the views, where they differ."""
    differing = connection.execute(
        read_sql("lakehouse.publishing", "differing_comments").encode(),
        {"id": publication_id, "schemas": list(SCHEMAS)},
    )
    for schema, name, column, text in differing.fetchall():
        target = sql.Identifier(schema, name) if column is None else sql.Identifier(schema, name, column)
        kind = "VIEW" if column is None else "COLUMN"
        connection.execute(statement(f"COMMENT ON {kind} {{}} IS {{}}", target, sql.Literal(text)))


def record_switch(connection: "Connection[Any]", publication_id: int) -> None:
    """Record the version that the views show after the commit."""
    values = {"shown": publication_id}
    # Invalidate cached plans, because they contain the version of the previous switch. A rollback attaches no
    # partition, so nothing else invalidates them.
    connection.execute("ALTER TABLE publishing.switch SET (fillfactor = 100)")
    connection.execute(read_sql("lakehouse.publishing", "planner_statistics").encode(), values)
    connection.execute(read_sql("lakehouse.publishing", "insert_switch").encode(), values)


def commit(connection: "Connection[Any]") -> None:
    """Commit a switch. The barrier is locked only for the commit (one round trip); concurrent planning waits for it."""
    connection.execute("LOCK TABLE publishing.barrier IN ACCESS EXCLUSIVE MODE; COMMIT")


def attached(connection: "Connection[Any]", marts: Iterable[Mart]) -> list[tuple[Mart, int]]:
    """Return the attached versions of the given marts, except those that are being detached."""
    rows = connection.execute(
        read_sql("lakehouse.publishing", "partitions").encode(), {"schemas": list(SCHEMAS)}
    ).fetchall()
    wanted = set(marts)
    found = [(Mart(row[0], row[1]), int(row[3].rpartition("_v")[2])) for row in rows if not row[5]]
    return sorted(one for one in found if one[0] in wanted)


def _columns(connection: "Connection[Any]", suffix: str) -> dict[Mart, Columns]:
    values = {"suffix": suffix, "schemas": list(SCHEMAS), "key": KEY}
    rows = connection.execute(read_sql("lakehouse.publishing", "mart_columns").encode(), values)
    return {Mart(schema, name): tuple((one[0], one[1]) for one in columns) for schema, name, columns in rows.fetchall()}
