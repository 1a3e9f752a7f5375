"""A definition that says the same as the one before it revives nothing."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
