"""Changes of `raw` other than by loading, and the schema's revision, are conditions of a full build."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
