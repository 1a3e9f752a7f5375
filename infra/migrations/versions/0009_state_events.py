"""All events behind the state tables, each stored once; check-ins by id; views of the entities; user activity."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
