"""Rate plans: the number of requests per second that each kind of account may send."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
