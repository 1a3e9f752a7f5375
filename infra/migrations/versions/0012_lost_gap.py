"""Gaps that are a loss accepted by an operator, as distinct from gaps without records."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
