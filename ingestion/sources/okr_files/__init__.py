"""Import an organisation's history: convert `key_results.csv` and `check_ins.csv` to events, report rejected rows."""

from ingestion.sources.okr_files.csv_format import CHECK_INS, KEY_RESULTS
from ingestion.sources.okr_files.event_order import history_events
from ingestion.sources.okr_files.row_validation import History, read_history

__all__ = ["CHECK_INS", "KEY_RESULTS", "History", "history_events", "read_history"]
