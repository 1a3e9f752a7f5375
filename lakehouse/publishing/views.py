"""The views that readers know, and the partitioned tables behind them. ADR 14 tells why it is built like this.

    marts.fct_x         a view: its name, rights and comments stay          what readers know
    marts_store.fct_x   a table partitioned by `published_version`          what the view reads
    marts_v12.fct_x     a partition, the mart as publication 12 has it      what dbt built, never changed again

Attaching a version's partitions and switching to it is one transaction, for which no reader waits. Only a mart whose
columns changed, or that is gone, needs its view for itself for a moment: `lakehouse.publishing.changed_columns`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from lakehouse.warehouse import read_sql

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMAS = ("marts", "ml")
KEY = "published_version"  # the partition key: a publication_id, under a name that no mart has

Columns = tuple[tuple[str, str], ...]  # name and type, in order, without KEY


@dataclass(frozen=True, order=True)
class Mart:
    """The schema that readers know, and the name."""

    schema: str
    name: str

    @property
    def view(self) -> sql.Identifier:
        """What readers know."""
        return sql.Identifier(self.schema, self.name)

    def store(self, suffix: str = "") -> sql.Identifier:
        """Return what the view reads."""
        return sql.Identifier(f"{self.schema}_store", self.name + suffix)

    def partition(self, publication_id: int, suffix: str = "") -> sql.Identifier:
        """Return the mart as one publication has it."""
        return sql.Identifier(f"{self.schema}_v{publication_id}", self.name + suffix)


def statement(text: str, *parts: sql.Composable) -> sql.Composed:
    """Return a statement with its identifiers and literals in place."""
    return sql.SQL(text).format(*parts)


def built(connection: "Connection[Any]", publication_id: int) -> dict[Mart, Columns]:
    """Return the marts of one version with their columns."""
    return _columns(connection, f"_v{publication_id}")


def stored(connection: "Connection[Any]") -> dict[Mart, Columns]:
    """Return the partitioned tables behind the views with their columns."""
    return _columns(connection, "_store")


def views(connection: "Connection[Any]") -> set[Mart]:
    """Return the marts that readers know."""
    rows = connection.execute(
        "SELECT schemaname, viewname FROM pg_views "
        "WHERE schemaname = ANY(%s) AND (schemaname, viewname) <> ('marts', 'publication')",
        (list(SCHEMAS),),
    )
    return {Mart(schema, name) for schema, name in rows.fetchall()}


def create_store(connection: "Connection[Any]", mart: Mart, columns: Columns, suffix: str = "") -> None:
    """Make the partitioned table of a mart, without partitions."""
    listed = sql.SQL(", ").join(
        statement("{} {}", sql.Identifier(name), sql.SQL(type_name)) for name, type_name in (*columns, (KEY, "bigint"))
    )
    create = "CREATE TABLE {} ({}) PARTITION BY LIST ({})"
    connection.execute(statement(create, mart.store(suffix), listed, sql.Identifier(KEY)))


def create_view(connection: "Connection[Any]", mart: Mart, columns: Columns) -> None:
    """Make the view of a mart; the schema's default privileges say who may read it."""
    names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns)
    view = sql.SQL(read_sql("lakehouse.publishing", "mart_view"))
    connection.execute(view.format(view=mart.view, store=mart.store(), columns=names))


def add_key(connection: "Connection[Any]", mart: Mart, publication_id: int) -> None:
    """Give a version's table the partition key; no row is rewritten."""
    add = "ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} bigint NOT NULL DEFAULT {}"
    key = sql.Identifier(KEY)
    connection.execute(statement(add, mart.partition(publication_id), key, sql.Literal(publication_id)))


def attach(
    connection: "Connection[Any]", store: sql.Identifier, partition: sql.Identifier, publication_id: int
) -> None:
    """Make a table a partition. Readers of the others are not disturbed by the lock that this takes."""
    add = "ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})"
    connection.execute(statement(add, store, partition, sql.Literal(publication_id)))


def comment(connection: "Connection[Any]", publication_id: int) -> None:
    """Let views say what dbt wrote at the version's tables and columns; what they say already is left alone."""
    differing = connection.execute(
        read_sql("lakehouse.publishing", "differing_comments").encode(),
        {"id": publication_id, "schemas": list(SCHEMAS)},
    )
    for schema, name, column, text in differing.fetchall():
        place = sql.Identifier(schema, name) if column is None else sql.Identifier(schema, name, column)
        kind = "VIEW" if column is None else "COLUMN"
        connection.execute(statement(f"COMMENT ON {kind} {{}} IS {{}}", place, sql.Literal(text)))


def record_switch(connection: "Connection[Any]", publication_id: int) -> None:
    """Name the version that views show from the commit on."""
    values = {"shown": publication_id}
    # Cached plans end with it: a rollback attaches nothing that would end them, and they know no newer switch.
    connection.execute("ALTER TABLE publishing.switch SET (fillfactor = 100)")
    connection.execute(read_sql("lakehouse.publishing", "planner_statistics").encode(), values)
    connection.execute(read_sql("lakehouse.publishing", "insert_switch").encode(), values)


def commit(connection: "Connection[Any]") -> None:
    """Commit a switch. The barrier is held for the commit alone (one round trip): plans being made wait for it."""
    connection.execute("LOCK TABLE publishing.barrier IN ACCESS EXCLUSIVE MODE; COMMIT")


def attached(connection: "Connection[Any]", marts: Iterable[Mart]) -> list[tuple[Mart, int]]:
    """Return the versions that stand behind the views of some marts, but for those that are being detached."""
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
