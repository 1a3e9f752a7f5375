"""The API may read the first version of a check-in in the log; an idempotency key belongs to one check-in."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
