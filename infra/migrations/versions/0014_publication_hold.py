"""Why publications are on hold: since when, and because of which gate, rule and run, or which rollback."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
