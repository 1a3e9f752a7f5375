"""Workers, the versions that they have loaded, the version that should serve, and experiments."""

from alembic import op

from infra.migrations.sql_revision import run_sql_beside

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Drop the tables. Directives and experiments are lost."""
    op.execute("DROP TABLE serving.experiment_arm_minute, serving.experiment")
    op.execute("DROP TABLE serving.worker_model, serving.model_directive, serving.worker")
