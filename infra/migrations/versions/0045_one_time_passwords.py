"""One-time passwords, and idempotency keys of requests that create API keys."""

from alembic import op

from infra.migrations.sql_revision import run_sql_beside

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Remove the columns. One-time passwords become ordinary ones."""
    op.execute("ALTER TABLE auth.api_key DROP COLUMN idempotency_key")
    op.execute("ALTER TABLE auth.account DROP COLUMN password_expires_at")
