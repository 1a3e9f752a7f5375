"""An organisation's own history: `key_results.csv` and `check_ins.csv` become events, every row accounted for."""

from ingestion.sources.okr_files.csv_format import CHECK_INS, KEY_RESULTS
from ingestion.sources.okr_files.row_validation import History, history_events, read_history

__all__ = ["CHECK_INS", "KEY_RESULTS", "History", "history_events", "read_history"]
