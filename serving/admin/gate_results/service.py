"""Read the results of quality gates (ops.gate_result). This module does not use FastAPI."""

from dataclasses import dataclass

from serving.admin.cursors import Cursors, Page
from serving.errors import NotFound
from serving.publication_reader import Reader, Row, Warehouse

PACKAGE = "serving.admin.gate_results"


@dataclass(frozen=True)
class Before:
    """The sort key of the list: results before this one."""

    gate_result_id: int


CURSORS = Cursors("/admin/gate-results", Before)


class GateResults:
    """Lists the results of gates, and returns their reports."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def page(
        self, limit: int, cursor: str | None = None, *, gate: str | None = None, passed: bool | None = None
    ) -> Page[Row]:
        """Return results, newest first.

        Raises:
            ContractViolation: this list did not return the cursor.
        """
        before = CURSORS.decode(cursor)
        values = {"limit": limit + 1, "before": before and before.gate_result_id, "gate": gate, "passed": passed}
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "gate_results", values)
        return CURSORS.page(rows, limit, lambda row: Before(row["gate_result_id"]))

    def get(self, gate_result_id: int) -> Row:
        """Return a result with its report: each suite, its failed rules, and examples of rows.

        Raises:
            NotFound: there is no such result.
        """
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "gate_result", {"gate_result_id": gate_result_id})
        if not rows:
            raise NotFound(f"There is no gate result {gate_result_id}; GET /admin/gate-results lists them.")
        return rows[0]
