"""The column for the time of a gate result is named validated_at, as in the report and the API."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
