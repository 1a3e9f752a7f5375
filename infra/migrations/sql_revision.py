"""How a revision runs its SQL: the file beside it, whole, in the migration's transaction."""

from pathlib import Path


def run_sql_beside(revision_file: str) -> None:
    """Execute `<revision>.sql`, statement by statement as the server reads it; colons and percent signs are its own."""
    from alembic import op

    connection = op.get_bind().connection.driver_connection
    assert connection is not None  # noqa: S101 -- migrations always run on a live connection
    connection.execute(Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8"))
