"""A simulated organisation written to files and imported again is the same organisation."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingestion.sources.okr_files.csv_format import Rejection
from ingestion.sources.okr_files.event_order import history_events
from ingestion.sources.okr_files.row_validation import read_history
from ingestion.sources.simulator import SCALES, messages, organisation
from ingestion.sources.simulator.csv_files import write_files
from ingestion.sources.simulator.messages import MessageKind
from lakehouse.errors import PermanentError

AS_OF = datetime(2026, 5, 20, 15, 30, tzinfo=UTC)
SMALL = organisation(1, SCALES["small"])


def _latest(values: list[bytes]) -> dict[str, dict[str, dict[str, object]]]:
    """Return the latest state by type and id, without fields that only the log has."""
    states: dict[str, dict[str, dict[str, object]]] = {"key_result": {}, "check_in": {}}
    for value in values:
        frame = json.loads(value)
        noun, data = frame["type"].split(".")[1], frame["data"]
        if noun == "key_result":
            fields = ("title", "unit", "baseline", "target", "direction")
            states[noun][frame["subject"]] = {field: data[field] for field in fields}
        elif noun == "check_in":
            fields = ("value", "confidence", "note", "is_final")
            states[noun][f"{frame['subject']} {frame['time'][:19]}"] = {field: data[field] for field in fields}
    return states


def test_files_imported_again_yield_the_same_key_results_and_check_ins(tmp_path: Path) -> None:
    rows = write_files(SMALL, AS_OF, tmp_path / "out")
    rejected: list[Rejection] = []
    history = read_history(tmp_path / "out", now=AS_OF, reject=rejected.append)
    imported = _latest([event.value for event in history_events(history)])
    simulated = _latest([m.event.value for m in messages(SMALL, AS_OF) if m.kind is MessageKind.NEW])

    assert rejected == []
    assert imported == simulated
    assert rows == {"key_results.csv": len(history.key_results), "check_ins.csv": len(history.check_ins)}


def test_a_folder_that_is_not_empty_is_left_unchanged(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(PermanentError, match="is not empty"):
        write_files(SMALL, AS_OF, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(PermanentError, match="expected a writable folder"):
        write_files(SMALL, AS_OF, tmp_path / "out")
