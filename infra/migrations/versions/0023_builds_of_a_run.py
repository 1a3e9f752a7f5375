"""A publication hold names the run, not the build; failures before `okr publication resume` no longer count."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
