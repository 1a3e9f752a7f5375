"""A topic's ledger contains all terms of produced = landed + absent + unlanded, as a partition's does."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
