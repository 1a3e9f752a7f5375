"""A paused pipeline with waiting data puts publications on hold."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
