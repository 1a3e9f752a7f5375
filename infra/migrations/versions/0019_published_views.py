"""Replace the published tables by views; the data that is published so far becomes the first version behind them."""

from infra.migrations.sql_revision import run_sql_beside

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Run the .sql file beside this one, then switch the views to the published versions, the current one last."""
    from alembic import op

    from lakehouse.publishing.switch_views import switch_to

    run_sql_beside(__file__)
    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # noqa: S101 -- migrations always run on a live connection
    connection.execute("SET LOCAL ROLE okr_transform")
    for (publication_id,) in connection.execute(
        "SELECT publication_id FROM ops.publication WHERE to_regnamespace('marts_v' || publication_id) IS NOT NULL "
        "ORDER BY is_current, publication_id"
    ).fetchall():
        switch_to(connection, publication_id)
    connection.execute("RESET ROLE")
