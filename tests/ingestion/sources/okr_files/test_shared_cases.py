"""Folders from a review, if available (in OKR_SHARED, else ../shared)."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingestion.sources.okr_files.csv_format import Rejection
from ingestion.sources.okr_files.row_validation import read_history
from tests.ingestion.sources.okr_files.conftest import NOW

Read = Callable[..., Any]
CASES = Path(os.environ.get("OKR_SHARED") or Path(__file__).parents[5] / "shared") / "cases"

# Per case: rows used of key_results.csv and check_ins.csv, and the reasons of rejected rows.
EXPECTED: dict[str, tuple[int, int, list[str]]] = {
    "case-02": (3, 6, []),
    "case-07": (2, 2, []),
    "case-08": (1, 3, []),
    "case-10": (3, 3, ["bad_id", "unknown_key_result"]),
    "case-22": (12, 36, []),
}


def test_each_available_case_yields_its_rows(folder: Path) -> None:
    found = [CASES / name for name in EXPECTED if (CASES / name).is_dir()]
    for each in [folder, *found]:
        rejected: list[Rejection] = []
        history = read_history(each, now=NOW, reject=rejected.append)
        came = len(history.key_results), len(history.check_ins), [row.reason for row in rejected]
        assert came == EXPECTED.get(each.name, (2, 3, [])), each.name
        assert not any(row.value == 99 and row.confidence == 0.9 for row in history.check_ins.values()), each.name
