"""Events that apps write through the data API, their versions and their progress through the pipeline."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0044"
down_revision = "0042"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
