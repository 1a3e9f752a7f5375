"""Read from ops.publication_hold why newer data is not published."""

from dataclasses import dataclass
from datetime import datetime

from lakehouse.publication_hold_reasons import Hold, holds_now
from serving.publication_reader import Warehouse


@dataclass(frozen=True)
class PublicationHolds:
    """Reads the publication holds in force."""

    warehouse: Warehouse

    def current(self) -> list[Hold]:
        """Return every hold, the oldest first; empty if none is in force.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        with self.warehouse.connection() as connection:
            return holds_now(connection)


def hold_summary(holds: list[Hold]) -> tuple[datetime, str] | None:
    """Return when the publication hold started, and its reason in one line; None if there is no hold."""
    if not holds:
        return None
    oldest = holds[0]
    more = f" {len(holds) - 1} more: `okr publication current` lists them." if len(holds) > 1 else ""
    return oldest.held_since, f"{oldest.because[:1].upper()}{oldest.because[1:]}.{more}"
