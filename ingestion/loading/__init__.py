"""Load the lake into the warehouse's schema raw, exactly once: `pending` finds the waiting rows, `copy` loads them."""

from ingestion.loading.backlog import backlog_rows
from ingestion.loading.copy import load
from ingestion.loading.pending import loaded_offsets, read_pending

__all__ = ["backlog_rows", "load", "loaded_offsets", "read_pending"]
