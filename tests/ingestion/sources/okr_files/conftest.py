"""A small valid folder of OKR files, in which each test changes one thing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingestion.contract_validation import EncodedEvent
from ingestion.sources.okr_files.csv_format import Rejection
from ingestion.sources.okr_files.event_order import history_events
from ingestion.sources.okr_files.row_validation import History, read_history

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

KEY_RESULTS = """\
key_result_id,organisation,team,owner_email,cycle,cycle_start,cycle_end,objective,key_result,unit,baseline,target
kr-1,acme,Payments,Ann@example.org,2026-Q1,2026-01-01,2026-03-31,Be quick,Cut lead time to 5 days,days,20,5
kr-2,acme,Search,bob@example.org,2026-Q1,2026-01-01,2026-03-31,Be found,Reach 50 % clicks,percent,30.5,50
"""
CHECK_INS = """\
key_result_id,checked_in_at,value,confidence,note
kr-1,2026-01-08T10:00:00Z,18,0.7,
kr-2,2026-01-09T10:00:00Z,31,,slow start
kr-1,2026-04-02T10:00:00Z,6,,final value
"""


@dataclass
class Reading:
    """The result of reading a folder."""

    history: History
    rejected: list[Rejection] = field(default_factory=list)

    @property
    def reasons(self) -> list[tuple[str, int, str]]:
        return [(row.file, row.line, row.reason) for row in self.rejected]

    @property
    def events(self) -> list[EncodedEvent]:
        return list(history_events(self.history))

    def is_complete(self) -> bool:
        """Whether every row read was either used or rejected."""
        used = len(self.history.key_results) + len(self.history.check_ins)
        return sum(self.history.rows_read.values()) == used + len(self.rejected)


Read = Callable[..., Reading]


@pytest.fixture
def now() -> datetime:
    """The time of every import in these tests."""
    return NOW


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with both files."""
    (tmp_path / "key_results.csv").write_text(KEY_RESULTS, encoding="utf-8")
    (tmp_path / "check_ins.csv").write_text(CHECK_INS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def read(folder: Path) -> Read:
    """Read the folder after replacing a file or appending to it."""

    def reader(
        *,
        key_results: str | bytes | None = None,
        check_ins: str | bytes | None = None,
        more_key_results: str = "",
        more_check_ins: str = "",
    ) -> Reading:
        files = {
            "key_results.csv": KEY_RESULTS + more_key_results if key_results is None else key_results,
            "check_ins.csv": CHECK_INS + more_check_ins if check_ins is None else check_ins,
        }
        for name, content in files.items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        rejected: list[Rejection] = []
        history = read_history(folder, now=NOW, reject=rejected.append)
        reading = Reading(history, rejected)
        assert reading.is_complete()
        return reading

    return reader
