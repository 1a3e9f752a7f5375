"""Schemas, their owners, and the default privileges on objects in them."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
