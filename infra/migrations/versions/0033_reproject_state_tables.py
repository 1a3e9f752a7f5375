"""Rows that were projected by older rules are projected again, from app.event instead of the broker."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
