"""Read privileges on the published marts.

A new view gets its privileges from the default privileges of its schema: `okr_serving` may read marts and ml
(infra/migrations/versions/0001_schemas.sql), and the analysts' group `okr_analyst` may read marts
(0015_analysts_read_marts.sql). A re-created view keeps its privileges.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.publishing.views import Mart, statement

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class Grant:
    """One privilege on a view; PostgreSQL has already quoted both parts."""

    grantee: str
    privilege: str


def grants_on(connection: "Connection[Any]", mart: Mart) -> list[Grant]:
    """Return the privileges that roles other than the owner have on a mart's view; empty if there is no view."""
    rows = connection.execute(
        "SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type FROM pg_class "
        "CROSS JOIN LATERAL aclexplode(relacl) WHERE oid = to_regclass(%s) AND grantee <> relowner",
        (mart.view.as_string(connection),),
    ).fetchall()
    return [Grant(grantee, privilege) for grantee, privilege in rows]


def restore_grants(connection: "Connection[Any]", mart: Mart, grants: list[Grant]) -> None:
    """Grant privileges on a mart's view again after it was re-created."""
    for grant in grants:
        connection.execute(statement(f"GRANT {grant.privilege} ON {{}} TO {grant.grantee}", mart.view))
