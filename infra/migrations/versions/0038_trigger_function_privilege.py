"""Only the owner may call the function that counts rewrites of `raw`."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
