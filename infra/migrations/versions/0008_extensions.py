"""A column for the envelope attributes that the contract does not define."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
