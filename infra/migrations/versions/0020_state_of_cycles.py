"""Key results by cycle in the application tables, endings, and one order of the log."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
