"""Roles of their own for the landing worker and the metrics collector."""

from alembic import op

from infra.migrations.sql_revision import run_sql_beside

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    """Run the .sql file beside this one. The superuser has created the roles (infra/local/postgres_bootstrap.sql)."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Revoke the rights."""
    op.execute("REVOKE ALL ON app.data_key FROM okr_landing")
    op.execute("REVOKE USAGE ON SCHEMA app FROM okr_landing")
    op.execute("REVOKE ALL ON raw.load_watermark FROM okr_metrics")
    op.execute("REVOKE USAGE ON SCHEMA raw FROM okr_metrics")
