"""Run the SQL file of a revision in the transaction of the migration."""

from pathlib import Path


def run_sql_beside(revision_file: str) -> None:
    """Execute `<revision>.sql` as it is, without giving colons and percent signs a special meaning."""
    from alembic import op

    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # noqa: S101 -- migrations always run with a connection
    connection.execute(Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8"))
