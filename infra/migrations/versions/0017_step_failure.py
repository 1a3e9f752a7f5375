"""Failed steps are recorded immediately and put publications on hold; their events arrive with a later run."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
