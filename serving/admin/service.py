"""Read publications, gate results and event counts for operators. This module does not depend on HTTP."""

from serving.outbox import Outbox
from serving.publication_reader import Reader, Row, Warehouse

PACKAGE = "serving.admin"


class Administration:
    """Reads the schema `ops` and the spools of this service."""

    def __init__(self, warehouse: Warehouse, outbox: Outbox, forecast_log: Outbox) -> None:
        self._warehouse = warehouse
        self._outbox = outbox
        self._forecast_log = forecast_log

    def state(self, limit: int) -> dict[str, list[Row] | dict[str, int]]:
        """Return the newest publications and gate results, and the state of the two spools."""
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            return {
                "publications": reader.rows(PACKAGE, "publications", {"limit": limit}),
                "gate_results": reader.rows(PACKAGE, "gate_results", {"limit": limit}),
                "outbox": _state(self._outbox),
                "forecast_log": _state(self._forecast_log),
            }


def _state(outbox: Outbox) -> dict[str, int]:
    spool = outbox.state()
    counts = {name: outbox.counts[name] for name in ("posted", "sent", "not_persisted")}
    return {**counts, "waiting": spool.waiting, "rejected": spool.rejected}
