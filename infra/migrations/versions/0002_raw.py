"""The raw tables, one per topic, and the watermarks of their loads."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
