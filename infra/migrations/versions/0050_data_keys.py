"""The keys with which personal fields are encrypted, one per person (ADR 34)."""

from alembic import op

from infra.migrations.sql_revision import run_sql_beside

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Drop the table, unless it contains keys: without them, what they encrypted would be lost."""
    op.execute("DROP INDEX app.newest_event_user_address")
    op.execute("DROP FUNCTION app.user_address")
    op.execute("DO $$ BEGIN IF NOT EXISTS (SELECT FROM app.data_key) THEN DROP TABLE app.data_key; END IF; END $$")
