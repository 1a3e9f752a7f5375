"""Read publications, gate results and event counts for operators. This module does not use FastAPI."""

from typing import Any

from lakehouse.publishing.publication import read_history
from serving.admin.gate_results.service import GateResults
from serving.prediction_log import PredictionLog
from serving.publication_reader import Warehouse
from serving.spool_sender import SpoolSender


class Administration:
    """Reads the schema `ops` and the spools of this service."""

    def __init__(
        self,
        warehouse: Warehouse,
        write_sender: SpoolSender,
        telemetry_sender: SpoolSender,
        prediction_log: PredictionLog,
    ) -> None:
        self._warehouse = warehouse
        self._write_sender = write_sender
        self._telemetry_sender = telemetry_sender
        self._prediction_log = prediction_log

    def state(self, limit: int) -> dict[str, Any]:
        """Return the newest publications and gate results, and the state of the spools and the prediction log."""
        with self._warehouse.connection() as connection:
            publications = read_history(connection, limit)
        return {
            "publications": publications,
            "gate_results": GateResults(self._warehouse).page(limit).items,
            "outbox": _state(self._write_sender),
            "telemetry": _state(self._telemetry_sender),
            "prediction_log": _log_state(self._prediction_log),
        }


def _state(sender: SpoolSender) -> dict[str, int]:
    spool = sender.state()
    counts = {name: sender.counts[name] for name in ("posted", "sent", "not_persisted")}
    return {**counts, "waiting": spool.waiting, "rejected": spool.rejected}


def _log_state(prediction_log: PredictionLog) -> dict[str, float]:
    counts: dict[str, float] = {name: prediction_log.counts[name] for name in ("posted", "not_persisted")}
    state = prediction_log.state()
    return {**counts, "bytes": state.bytes, "seconds_behind": state.seconds_behind}
