"""Offsets that were pruned from the lake and raw after their retention, and their number in the ledger."""

from alembic import op

from infra.migrations.sql_revision import run_sql_beside

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Drop the record. A ledger of an earlier release reports what was pruned as missing."""
    op.execute("ALTER TABLE ops.ledger_partition DROP COLUMN pruned")
    op.execute("ALTER TABLE ops.ledger DROP COLUMN pruned")
    op.execute("DROP TABLE ops.pruned_range")
