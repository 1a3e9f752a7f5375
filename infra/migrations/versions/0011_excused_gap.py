"""The gaps that the ledger has excused, which stay excused after the broker has deleted that part of the log."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
