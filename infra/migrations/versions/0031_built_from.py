"""A publication records its inputs other than events."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
