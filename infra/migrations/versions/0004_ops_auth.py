"""Publications, gate results and logins."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
