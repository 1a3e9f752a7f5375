"""Decisions on single events: released although a rule withholds them, or withheld."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
