"""An index on the event type; the loader may update the statistics of the tables that it loads."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
