"""The rights of analysts are granted to their group role."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
