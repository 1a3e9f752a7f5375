"""The Kafka cluster to which each load watermark of `raw` belongs."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the .sql file beside this one."""
    run_sql_beside(__file__)
