"""Read the reasons why newer data is not published (ops.publication_hold)."""

from dataclasses import dataclass
from datetime import datetime

from lakehouse.publishing.hold_reasons import Hold, read_holds
from serving.publication_reader import Warehouse


@dataclass(frozen=True)
class PublicationHolds:
    """Reads the active publication holds."""

    warehouse: Warehouse

    def current(self) -> list[Hold]:
        """Return the active holds, oldest first.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        with self.warehouse.connection() as connection:
            return read_holds(connection)


def hold_summary(holds: list[Hold]) -> tuple[datetime, str] | None:
    """Return the start of the publication hold and its reason in one line, or None if there is no hold."""
    if not holds:
        return None
    oldest = holds[0]
    more = f" {len(holds) - 1} more: `okr publication current` lists them." if len(holds) > 1 else ""
    return oldest.held_since, f"{oldest.reason[:1].upper()}{oldest.reason[1:]}.{more}"
