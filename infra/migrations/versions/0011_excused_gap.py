"""The gaps that the ledger has excused, for when the broker's retention has passed them."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
