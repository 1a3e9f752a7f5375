"""Why readers do not get a newer publication, as ops.publication_hold says it."""

from dataclasses import dataclass
from datetime import datetime

from lakehouse.publication_hold import Hold, holds_now
from serving.publication_reader import Warehouse


@dataclass(frozen=True)
class PublicationHolds:
    """Reads what holds publications back."""

    warehouse: Warehouse

    def current(self) -> list[Hold]:
        """Return every reason, the oldest first; empty when nothing is held.

        Raises:
            RetryableError: PostgreSQL is away.
        """
        with self.warehouse.connection() as connection:
            return holds_now(connection)


def hold_summary(held: list[Hold]) -> tuple[datetime, str] | None:
    """Return since when publications are held back, and why in one line; None when they are not."""
    if not held:
        return None
    more = f" And {len(held) - 1} more: `okr publication current` lists them." if len(held) > 1 else ""
    return held[0].held_since, f"{held[0].because[:1].upper()}{held[0].because[1:]}.{more}"
