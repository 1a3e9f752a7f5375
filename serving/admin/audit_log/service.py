"""Read the audit log (auth.audit_event). This module does not use FastAPI."""

from dataclasses import dataclass

from serving.admin.cursors import Cursors, Page
from serving.publication_reader import Reader, Row, Warehouse

PACKAGE = "serving.admin.audit_log"


@dataclass(frozen=True)
class Before:
    """The sort key of the list: events before this one."""

    event_id: int


CURSORS = Cursors("/admin/audit-log", Before)


class AuditEvents:
    """Lists the events of the audit log."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def page(self, limit: int, cursor: str | None, *, subject: str | None) -> Page[Row]:
        """Return events, newest first.

        Raises:
            ContractViolation: this list did not return the cursor.
        """
        before = CURSORS.decode(cursor)
        values = {"limit": limit + 1, "before": before.event_id if before else None, "subject": subject}
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "audit_events", values)
        return CURSORS.page(rows, limit, lambda row: Before(row["event_id"]))
