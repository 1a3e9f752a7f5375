"""If a check-in's id was used for several key results, Kafka's log is read again, and the later uses are withheld."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
