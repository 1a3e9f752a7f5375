"""A definition that is identical to the previous one revives nothing."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
