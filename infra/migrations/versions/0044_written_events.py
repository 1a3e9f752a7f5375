"""Events that apps write through the data API, their versions and their progress through the pipeline."""

from alembic import op

from infra.migrations.sql_revision import run_sql_beside

revision = "0044"
down_revision = "0042"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Drop the record of written events. Events that have been sent to Kafka remain."""
    op.execute("DROP FUNCTION serving.event_progress(uuid, text, text, timestamptz)")
    op.execute("DROP VIEW api.withheld_event, api.logged_definition")
    op.execute("DROP TABLE serving.written_event, serving.write_request")
    op.execute("DROP INDEX api.check_in_request_event_id")
    op.execute("REVOKE USAGE ON SCHEMA serving FROM okr_loader")
    op.execute("COMMENT ON SCHEMA serving IS 'State that all processes of the API share, on all hosts.'")
