"""Gaps that are a loss which an operator has accepted, told from those that the broker made."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
