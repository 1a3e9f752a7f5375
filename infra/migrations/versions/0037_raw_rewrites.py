"""Changes of `raw` other than loading, and the schema revision, lead to a full build."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
