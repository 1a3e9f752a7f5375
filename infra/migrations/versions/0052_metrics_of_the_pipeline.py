"""What the metrics collector reads of the pipeline and the marts."""

from alembic import op

from infra.migrations.sql_revision import run_sql_beside

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Drop the functions and revoke the rights."""
    op.execute("DROP FUNCTION ops.forecast_quality, ops.business_figures")
    op.execute(
        "REVOKE ALL (gate_result_id, gate, validated_at, passed, checked_rows, failed) ON ops.gate_result "
        "FROM okr_metrics"
    )
    op.execute(
        "REVOKE ALL (publication_id, published_at, data_as_of, offsets, model_version, is_current) ON ops.publication "
        "FROM okr_metrics"
    )
    op.execute("REVOKE ALL (held_since, kind, gate, runs_held) ON ops.publication_hold FROM okr_metrics")
    op.execute("REVOKE ALL (pipeline, run_id, step, failed_at) ON ops.step_failure FROM okr_metrics")
    op.execute("REVOKE USAGE ON SCHEMA ops FROM okr_metrics")
