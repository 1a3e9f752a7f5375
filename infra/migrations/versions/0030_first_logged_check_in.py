"""The API reads of the log what a check-in first said; an idempotency key stands for one check-in."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
