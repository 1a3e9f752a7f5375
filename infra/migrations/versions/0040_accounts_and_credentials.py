"""Accounts with organisation and teams, signing keys, refresh tokens, API keys, revocations and the audit log."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
