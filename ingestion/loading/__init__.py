"""Lake to the warehouse's raw schema, exactly once: `waiting` reads what is new, `copy` loads it with its watermark."""

from ingestion.loading.beyond import rows_beyond
from ingestion.loading.copy import load
from ingestion.loading.waiting import loaded_offsets, read_waiting

__all__ = ["load", "loaded_offsets", "read_waiting", "rows_beyond"]
