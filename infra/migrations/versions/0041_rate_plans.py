"""Rate plans: the number of requests per second that each kind of account may send."""

from alembic import op

from infra.migrations.sql_revision import run_sql_beside

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Drop the plans and the schema. Changed plans are lost."""
    op.execute("DROP TABLE serving.rate_plan")
    op.execute("DROP SCHEMA serving")
