"""Lake to the warehouse's raw schema, exactly once: `waiting` reads what is new, `copy` loads it with its watermark."""

from ingestion.loading.backlog import backlog_rows
from ingestion.loading.copy import load
from ingestion.loading.pending import loaded_offsets, read_pending

__all__ = ["backlog_rows", "load", "loaded_offsets", "read_pending"]
