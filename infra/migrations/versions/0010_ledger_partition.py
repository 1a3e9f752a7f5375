"""The ledger by partition, and the raw gate's way to the key results that raw defines."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
