"""The spool: where events wait on disk until the broker has them. `store` keeps them, `drain` sends them in order."""

from ingestion.spool.drain import Drainer
from ingestion.spool.sqlite_errors import SpoolFullError
from ingestion.spool.store import Limits, Spool, SpoolState, spooled_sources

__all__ = ["Drainer", "Limits", "Spool", "SpoolFullError", "SpoolState", "spooled_sources"]
