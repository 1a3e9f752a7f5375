"""Copy marts from the previous publication into a build if none of their inputs has changed.

A build is determined by the loaded events, the operators' decisions, the dbt project and the warehouse schema. If the
decisions, the project and the schema are the same, two consecutive builds differ only in the models that depend on the
types of the events loaded in between. For these models, `staging` and `intermediate` must still contain the tables of
the previous build. ADR 21 lists the conditions.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from lakehouse.publishing import views
from lakehouse.warehouse import read_sql

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class Basis:
    """The publication that a build can start from, and the event types loaded since its build started."""

    publication_id: int
    changed: frozenset[str]


def hash_of_inputs(connection: "Connection[Any]", project: str | None) -> str | None:
    """Return a hash of all inputs of a build except the loaded events; None if the project is unknown."""
    if project is None:
        return None
    row = connection.execute(read_sql("lakehouse.publishing", "build_inputs").encode(), {"project": project}).fetchone()
    return str(row[0]) if row else None


def hash_of_objects(connection: "Connection[Any]") -> str:
    """Return a hash of the tables from which marts are built. It changes with every later build."""
    row = connection.execute(read_sql("lakehouse.publishing", "built_objects").encode()).fetchone()
    return str(row[0]) if row else ""


def hash_of_withheld_events(connection: "Connection[Any]") -> str:
    """Return a hash of the events that the last build withheld."""
    row = connection.execute(read_sql("lakehouse.publishing", "withheld_events").encode()).fetchone()
    return str(row[0]) if row else ""


def find_basis(connection: "Connection[Any]", previous: Mapping[str, Any], inputs: str | None) -> Basis | None:
    """Return the publication that a build can start from, or None.

    `previous` is the metadata of the previous build, and `inputs` is the hash of the current inputs.
    """
    publication_id = previous.get("published_as")
    if inputs is None or publication_id is None or previous.get("inputs") != inputs:
        return None
    if previous.get("objects") != hash_of_objects(connection) or not _is_current(connection, publication_id):
        return None
    query = read_sql("lakehouse.publishing", "changed_event_types").encode()
    rows = connection.execute(query, {"offsets": json.dumps(previous["offsets"])}).fetchall()
    return Basis(publication_id, frozenset(str(event_type) for (event_type,) in rows))


def _is_current(connection: "Connection[Any]", publication_id: int) -> bool:
    """Return whether a publication is current. A build must not start from one that was rolled back."""
    row = connection.execute(
        "SELECT is_current FROM ops.publication WHERE publication_id = %s", (publication_id,)
    ).fetchone()
    return bool(row and row[0])


def copy_marts(connection: "Connection[Any]", publication_id: int, rebuilt: Collection[str]) -> None:
    """Copy the marts of a publication into the build schemas, except those that will be rebuilt."""
    for mart, columns in sorted(views.built(connection, publication_id).items()):
        if mart.name in rebuilt:
            continue
        copy = sql.Identifier(f"{mart.schema}_build", mart.name)
        version = mart.partition(publication_id)
        names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns)
        for text, parts in (
            ("CREATE TABLE {} (LIKE {} INCLUDING ALL)", (copy, version)),
            ("ALTER TABLE {} DROP COLUMN {}", (copy, sql.Identifier(views.KEY))),
            ("INSERT INTO {} ({}) SELECT {} FROM {}", (copy, names, names, version)),
            ("ANALYZE {}", (copy,)),
        ):
            connection.execute(views.statement(text, *parts))
        _copy_comment(connection, version, copy)


def _copy_comment(connection: "Connection[Any]", source: sql.Identifier, target: sql.Identifier) -> None:
    """Copy the comment of a table, because LIKE copies only the comments of columns."""
    row = connection.execute(
        views.statement("SELECT obj_description({}::regclass)", sql.Literal(source.as_string(connection)))
    ).fetchone()
    connection.execute(views.statement("COMMENT ON TABLE {} IS {}", target, sql.Literal(row[0] if row else None)))
