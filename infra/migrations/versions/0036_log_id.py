"""Columns that identify a Kafka log (cluster id/topic id) are named log_id."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
