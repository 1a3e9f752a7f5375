"""The application tables: users, OKRs and the offsets of the state consumer."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
