"""A pause puts publications on hold only while catch_up_dag sees it."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
