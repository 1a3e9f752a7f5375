"""The newest closing check-in of each key result, kept beside its newest check-in."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
