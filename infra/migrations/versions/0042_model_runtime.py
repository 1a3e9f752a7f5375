"""Workers, the versions that they have loaded, the version that should serve, and experiments."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
