"""A function that returns the objective, team and cycle of key results at each moment."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
