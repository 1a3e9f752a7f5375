"""Each key result's newest closing check-in, in addition to its newest check-in."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
