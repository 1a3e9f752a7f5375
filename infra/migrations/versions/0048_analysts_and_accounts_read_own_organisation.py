"""Row-level security by organisation, which restricts the login okr_organisation."""

from pathlib import Path

from infra.migrations.sql_revision import run_sql_beside

revision = "0048"
down_revision = "0045"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)


def downgrade() -> None:
    """Run the .sql file that reverts it."""
    run_sql_beside(str(Path(__file__).with_name("0048_analysts_and_accounts_read_own_organisation_down")))
