"""The newest definition of each entity that the state consumer follows, and the results of `okr lake verify`."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
