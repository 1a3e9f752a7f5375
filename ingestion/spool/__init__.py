"""The spool, in which events wait on disk for the broker. `store` is the queue; `drain` sends its events in order."""

from ingestion.spool.drain import Drainer
from ingestion.spool.sqlite_errors import SpoolFullError
from ingestion.spool.store import Limits, Spool, SpoolState, spooled_sources

__all__ = ["Drainer", "Limits", "Spool", "SpoolFullError", "SpoolState", "spooled_sources"]
