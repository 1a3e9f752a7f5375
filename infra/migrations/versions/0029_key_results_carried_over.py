"""The time at which a key result entered each of its cycles, and whether a check-in closed it there."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
