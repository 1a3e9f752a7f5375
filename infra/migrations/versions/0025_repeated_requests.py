"""An idempotency key that is sent with a repeated check-in belongs to that check-in from then on."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
