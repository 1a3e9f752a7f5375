"""A key result in several cycles, and values that are changed and changed back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract_validation import EncodedEvent
from ingestion.sources.okr_files.importer import send_history
from ingestion.sources.okr_files.sent_facts import sent_facts
from lakehouse.errors import RetryableError

Read = Callable[..., Any]
HEADER = (
    "key_result_id,organisation,team,owner_email,cycle,cycle_start,cycle_end,objective,key_result,unit,baseline,target"
)
Q2 = "kr-nps,acme,Payments,,2026-Q2,2026-04-01,2026-06-30,Be reliable,Raise the NPS,points,10,20\n"
Q3 = "kr-nps,acme,Payments,,2026-Q3,2026-07-01,2026-09-30,Be reliable,Raise the NPS further,points,18,30\n"


def _summary(events: list[EncodedEvent]) -> list[tuple[str, str, Any, Any]]:
    """Return the events of the key result in order: type, time, and target and value if present."""
    frames = [json.loads(event.value) for event in events]
    return [
        (f["type"].split(".")[1], f["time"], f["data"].get("target"), f["data"].get("value"))
        for f in frames
        if f["subject"] == "kr-nps"
    ]


def test_a_key_result_in_two_cycles_is_defined_at_the_start_of_each(read: Read) -> None:
    check_ins = (
        "key_result_id,checked_in_at,value,confidence,note\n"
        "kr-nps,2026-07-20T09:00:00Z,19,0.5,\nkr-nps,2026-07-02T09:00:00Z,18,,final value\n"
        "kr-nps,2026-05-03T09:00:00Z,14,0.6,\n"
    )
    reading = read(key_results=f"{HEADER}\n{Q3}{Q2}", check_ins=check_ins)

    assert reading.reasons == []
    assert _summary(reading.events) == [
        ("key_result", "2026-04-01T00:00:00Z", 20, None),
        ("check_in", "2026-05-03T09:00:00Z", None, 14),
        ("key_result", "2026-07-01T00:00:00Z", 30, None),
        ("check_in", "2026-07-02T09:00:00Z", None, 18),
        ("check_in", "2026-07-20T09:00:00Z", None, 19),
    ]
    finals = [json.loads(e.value)["data"] for e in reading.events if b'"is_final":true' in e.value]
    assert [final["value"] for final in finals] == [18]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Q2, "duplicate_key_result_id"),
        (Q3.replace("2026-07-01", "2026-06-30"), "overlapping_cycle"),
        (Q3.replace("acme", "other"), "conflicting_organisation"),
    ],
)
def test_a_second_row_of_a_key_result_must_be_for_another_cycle_of_its_organisation(
    read: Read, row: str, reason: str
) -> None:
    reading = read(key_results=f"{HEADER}\n{Q2}{row}", check_ins="key_result_id,checked_in_at,value,confidence,note\n")
    assert reading.reasons == [("key_results.csv", 3, reason)]


def _imported(reading: Any, state: Path) -> list[dict[str, Any]]:
    sent: list[EncodedEvent] = []
    with sent_facts(state) as facts:
        send_history(reading.history, sent.append, facts)
    return [json.loads(event.value) for event in sent]


def test_a_value_that_is_changed_and_changed_back_is_sent_again(read: Read, folder: Path, tmp_path: Path) -> None:
    first = read()
    text = (folder / "check_ins.csv").read_text()
    imports = [_imported(first, tmp_path)]
    for value in ("17", "18", "18", "17"):
        imports.append(_imported(read(check_ins=text.replace("10:00:00Z,18,", f"10:00:00Z,{value},")), tmp_path))
    ids = [
        next(f["id"] for f in each if f["subject"] == "kr-1" and f["time"] == "2026-01-08T10:00:00Z")
        for each in imports
    ]

    assert ids[0] == json.loads(next(e.value for e in first.events if b"2026-01-08" in e.value))["id"]
    assert ids[2] == ids[3]  # the same file again is the same event
    assert len(set(ids)) == 4
    unchanged = [{f["id"] for f in each} - set(ids) for each in imports]
    assert len(unchanged[0]) > 5
    assert all(each == unchanged[0] for each in unchanged)


def test_a_name_or_target_that_is_changed_and_changed_back_is_sent_again(read: Read, tmp_path: Path) -> None:
    rows = [f"{HEADER}\n{Q2}{Q3}", f"{HEADER}\n{Q2.replace('10,20', '10,25')}{Q3}"]
    sent = [{f["id"] for f in _imported(read(key_results=rows[n], check_ins=_none()), tmp_path)} for n in (0, 1, 0, 0)]

    assert len(sent[2] - sent[1] - sent[0]) == 1
    assert sent[2] == sent[3]


def _none() -> str:
    return "key_result_id,checked_in_at,value,confidence,note\n"


def test_a_failed_import_is_not_remembered(read: Read, folder: Path, tmp_path: Path) -> None:
    text = (folder / "check_ins.csv").read_text()
    before = _imported(read(), tmp_path)
    changed = read(check_ins=text.replace("10:00:00Z,18,", "10:00:00Z,17,"))
    with pytest.raises(KeyError), sent_facts(tmp_path) as facts:
        send_history(changed.history, lambda _: {}["the broker is unavailable"], facts)

    assert _imported(read(check_ins=text), tmp_path) == before


def test_only_one_import_of_a_state_folder_runs_at_a_time(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.sources.okr_files.sent_facts.BUSY_SECONDS", 0.1)
    with sent_facts(tmp_path), pytest.raises(RetryableError, match="Another import"):
        _imported(read(), tmp_path)
    assert _imported(read(), tmp_path)
