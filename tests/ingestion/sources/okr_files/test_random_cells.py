"""Property tests: for any cell content a row is either used with exactly that text, or rejected."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.contract_validation import decode
from ingestion.sources.okr_files.csv_format import CHECK_INS, KEY_RESULTS, Rejection
from ingestion.sources.okr_files.event_order import history_events
from ingestion.sources.okr_files.row_validation import read_history
from lakehouse.contracts.allowed_characters import strip

NOW = datetime(2026, 11, 24, tzinfo=UTC)
RIGHT = "kr-1,acme,Payments,a@example.org,Q,2026-01-01,2026-03-31,Be quick,A title,days,20,5"
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
ODD_NUMBERS = st.sampled_from(["1", "-1e3", "nan", "1e400", "0x10", "1,5", "", "١", "1e-320", "--1", "+.5", "5."])


def _csv(header: tuple[str, ...], rows: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([header, *rows])
    return text.getvalue()


def _read(key_results: bytes, check_ins: bytes) -> tuple[list[str], list[Rejection], int]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / KEY_RESULTS.name).write_bytes(key_results)
        (folder / CHECK_INS.name).write_bytes(check_ins)
        rejected: list[Rejection] = []
        history = read_history(folder, now=NOW, reject=rejected.append)
    used = len(history.key_results) + len(history.check_ins)
    assert sum(history.rows_read.values()) == used + len(rejected)
    events = list(history_events(history))
    for event in events:
        decode(event.topic, event.value, event.key)
    return [event.value.decode() for event in events], rejected, used


@settings(deadline=None, max_examples=150)
@given(note=ANY_TEXT, value=ODD_NUMBERS)
def test_a_note_of_any_text_is_sent_unchanged(note: str, value: str) -> None:
    key_results = _csv(KEY_RESULTS.columns, [RIGHT.split(",")])
    rows = [["kr-1", "2026-01-08T10:00:00Z", value, "", note], ["kr-1", "2026-01-09T10:00:00Z", "18", "", ""]]
    sent, rejected, _ = _read(key_results.encode(), _csv(CHECK_INS.columns, rows).encode())

    check_ins = [json.loads(event)["data"] for event in sent if "check_in.recorded" in event]
    assert check_ins[-1]["value"] == 18.0
    assert len(check_ins) + len(rejected) == 2
    if not rejected:
        assert check_ins[0]["note"] == (strip(note) or None)


@settings(deadline=None, max_examples=150)
@given(cells=st.lists(ANY_TEXT, min_size=12, max_size=12))
def test_a_key_result_with_any_cells_is_used_or_rejected(cells: list[str]) -> None:
    _, rejected, used = _read(
        _csv(KEY_RESULTS.columns, [RIGHT.split(","), cells]).encode(), _csv(CHECK_INS.columns, []).encode()
    )
    assert used >= 1
    assert used + len(rejected) in {1, 2}


@settings(deadline=None, max_examples=150)
@given(names=st.lists(ANY_TEXT, min_size=4, max_size=4))
def test_names_of_any_text_yield_valid_ids(names: list[str]) -> None:
    organisation, team, objective, title = names
    row = RIGHT.split(",")
    row[1], row[2], row[7], row[8] = organisation, team, objective, title
    _, rejected, used = _read(_csv(KEY_RESULTS.columns, [row]).encode(), _csv(CHECK_INS.columns, []).encode())

    assert used + len(rejected) == 1
    assert used or {row.reason for row in rejected} <= {"missing_value", "nul_character", "bad_name"}


@settings(deadline=None, max_examples=200)
@given(body=st.binary(max_size=200))
def test_any_bytes_below_the_header_are_used_or_rejected_as_rows(body: bytes) -> None:
    header = ",".join(CHECK_INS.columns).encode() + b"\n"
    key_results = _csv(KEY_RESULTS.columns, [RIGHT.split(",")]).encode()
    good = b"\nkr-1,2026-01-09T10:00:00Z,18,,\n"
    sent, _, _ = _read(key_results, header + good + body)

    assert '"value":18.0' in sent[-1]
