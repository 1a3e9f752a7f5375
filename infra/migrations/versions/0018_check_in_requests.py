"""The requests to record check-ins: a repeated request gets the first response, in any process and after a restart."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
