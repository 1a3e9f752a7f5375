"""Spools and prediction log of this host. This module does not use FastAPI.

Spools have the functions of `okr produce spool`. Other hosts have their own spools and prediction logs, so every
response names the host.
"""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from ingestion.spool.store import Spool, SpooledEvent, SpoolState, spooled_sources
from lakehouse.settings import Settings
from serving.admin.changes import Changes, Operator
from serving.errors import NotFound
from serving.prediction_log import PredictionLog
from serving.suggestions import similar_names


@dataclass(frozen=True)
class RejectedEvent:
    """An event that the broker rejected permanently, and the reason."""

    event: SpooledEvent
    reason: str


class Spools:
    """Reads the spools of this host, and returns rejected events to their queues."""

    def __init__(self, settings: Settings, prediction_log: PredictionLog, changes: Changes) -> None:
        self._settings = settings
        self._prediction_log = prediction_log
        self._changes = changes
        self.host = socket.gethostname()

    def states(self) -> dict[str, SpoolState]:
        """Return the state of each spool, by source."""
        return {source: self.state(source) for source in self._sources()}

    def state(self, source: str) -> SpoolState:
        """Return the state of a spool.

        Raises:
            NotFound: this host has no such spool.
        """
        with self._spool(source) as spool:
            return spool.state()

    def rejected(self, source: str, limit: int) -> list[RejectedEvent]:
        """Return events that the broker rejected permanently, oldest first.

        Raises:
            NotFound: this host has no such spool.
        """
        with self._spool(source) as spool:
            return [RejectedEvent(event, reason) for event, reason in spool.rejected(limit)]

    def requeue(self, source: str, operator: Operator) -> int:
        """Return rejected events to the queue at their old positions, and return their number.

        The process of the source sends them again within seconds.

        Raises:
            NotFound: this host has no such spool.
        """
        with self._changes.recorded(operator, "spool.requeued", source) as details, self._spool(source) as spool:
            requeued = spool.requeue_rejected()
            details |= {"host": self.host, "requeued": requeued}
        return requeued

    def prediction_log(self) -> dict[str, float]:
        """Return the counts of this worker since it started, and the state of the log of all workers of this host."""
        counts: dict[str, float] = {name: self._prediction_log.counts[name] for name in ("posted", "not_persisted")}
        state = self._prediction_log.state()
        return {
            **counts, "bytes": state.bytes, "fill_ratio": state.fill_ratio, "seconds_behind": state.seconds_behind,
        }  # fmt: skip

    def _sources(self) -> list[str]:
        return spooled_sources(self._settings.spool_dir)

    @contextmanager
    def _spool(self, source: str) -> Iterator[Spool]:
        sources = self._sources()
        if source not in sources:
            raise NotFound(f"The host {self.host} has no spool {source!r}.", similar_names(source, sources))
        with closing(Spool.of(self._settings, source)) as spool:
            yield spool
