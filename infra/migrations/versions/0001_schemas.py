"""Schemas, their owners and who may read or write what is made in them."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
