"""Run the SQL file next to a revision, in the transaction of the migration."""

from pathlib import Path


def run_sql_beside(revision_file: str) -> None:
    """Execute `<revision>.sql` as it is: colons and percent signs have no special meaning."""
    from alembic import op

    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # noqa: S101 -- migrations always run on a live connection
    connection.execute(Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8"))
