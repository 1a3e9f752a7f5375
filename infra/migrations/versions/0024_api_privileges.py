"""The API may read only those parts of the log that concern check-ins; its stored requests may be deleted."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
