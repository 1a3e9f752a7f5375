"""State tables exclude events that would move an entity to another organisation."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
