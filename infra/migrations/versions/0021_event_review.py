"""Decisions on single events: release an event that a rule withholds, or withhold an event."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
