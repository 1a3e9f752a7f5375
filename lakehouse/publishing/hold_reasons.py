"""The reasons why publications are on hold: a failed gate, a failed step, a rollback by an operator, a paused pipeline.

The view `ops.publication_hold` determines the reasons. Its newest definition is in
`infra/migrations/versions/0032_publication_hold_shows_pauses.sql`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row

from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class Hold:
    """One row of ops.publication_hold. The comments of the view describe its columns; `because` is `reason` here."""

    held_since: datetime
    kind: str
    gate: str | None
    rule: str | None
    rules: list[str]
    run_id: str
    publication_id: int | None
    runs_held: int
    newest_at: datetime
    reason: str

    def __str__(self) -> str:
        """Return the line shown in a terminal."""
        return f"Held since {self.held_since:%Y-%m-%d %H:%M:%S} UTC: {self.reason} (run {self.run_id})."


def holds(dsn: str) -> list[Hold]:
    """Return the reasons why publications are on hold, oldest first; empty if they are not on hold.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn, application="okr-publication") as connection:
        return read_holds(connection)


def read_holds(connection: "Connection[Any]") -> list[Hold]:
    """Return the reasons why publications are on hold, using an open connection."""
    with connection.cursor(row_factory=class_row(Hold)) as cursor:
        return cursor.execute(read_sql("lakehouse.publishing", "hold_reasons").encode()).fetchall()
