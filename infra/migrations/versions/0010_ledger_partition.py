"""The ledger by partition, and an index for the raw gate's query of key result definitions."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
