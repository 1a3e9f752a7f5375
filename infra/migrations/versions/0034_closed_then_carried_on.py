"""A check-in made after its cycle was closed closes the key result there, before it is carried on."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
