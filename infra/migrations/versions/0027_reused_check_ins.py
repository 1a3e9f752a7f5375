"""A check-in's id that another key result uses, too, is read again: the later one does not count."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
