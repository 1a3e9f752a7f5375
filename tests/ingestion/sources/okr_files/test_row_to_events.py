"""The events of a history: content, order and ids."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract_validation import EncodedEvent, decode
from ingestion.sources.okr_files.importer import ImportReport, check_usable, read_folder, send_history
from ingestion.sources.okr_files.row_to_events import id_from_names
from ingestion.sources.okr_files.sent_facts import sent_facts
from lakehouse.errors import PermanentError

Read = Callable[..., Any]


def _frames(events: list[EncodedEvent]) -> list[dict[str, Any]]:
    return [json.loads(event.value) for event in events]


def test_parents_come_before_children_and_check_ins_in_order_of_time(read: Read) -> None:
    frames = _frames(read().events)

    assert [frame["type"].split(".")[1] for frame in frames] == [
        *("organisation", "team", "user", "cycle", "objective", "key_result"),
        *("team", "user", "objective", "key_result"),
        *("check_in", "check_in", "check_in"),
    ]
    assert [frame["time"] for frame in frames] == sorted(frame["time"] for frame in frames)


def test_the_recording_time_of_imported_events_is_assumed_and_flagged(read: Read) -> None:
    for frame in _frames(read().events):
        assert frame["recordedtime"] == frame["time"]
        assert frame["recordedassumed"] is True


def test_every_event_is_valid_and_falling_metrics_keep_their_direction(read: Read) -> None:
    decoded = [decode(event.topic, event.value, event.key) for event in read().events]
    key_results = {e.envelope.subject: e.payload for e in decoded if "key_result" in e.envelope.type}

    assert key_results["kr-1"].direction == "decrease"
    assert key_results["kr-2"].direction == "increase"
    assert key_results["kr-1"].owner_user_id == "ann@example.org"


def test_a_key_result_without_an_owner_has_no_owner_in_its_event(read: Read) -> None:
    row = "kr-9,acme,Payments,,2026-Q1,2026-01-01,2026-03-31,Be quick,A title,days,1,2\n"
    reading = read(more_key_results=row)

    assert reading.reasons == []
    assert [f["data"]["owner_user_id"] for f in _frames(reading.events) if f["subject"] == "kr-9"] == [None]


def test_a_second_import_sends_the_same_bytes(read: Read) -> None:
    assert read().events == read().events


def test_a_corrected_value_is_a_new_event_of_the_same_check_in(read: Read, folder: Path) -> None:
    before = _frames(read().events)
    text = (folder / "check_ins.csv").read_text()
    after = _frames(read(check_ins=text.replace("10:00:00Z,18,", "10:00:00Z,17,")).events)

    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    old, new = changed[0]
    assert old["id"] != new["id"]
    assert old["data"]["check_in_id"] == new["data"]["check_in_id"]
    assert (old["data"]["value"], new["data"]["value"]) == (18.0, 17.0)


@pytest.mark.parametrize(("one", "other"), [(("a/b", "c"), ("a", "b/c")), (("a", "b" * 200), ("a", "b" * 201))])
def test_names_that_would_yield_the_same_path_have_different_ids(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert id_from_names("team", *one) != id_from_names("team", *other)
    assert len(id_from_names("team", *one)) <= 128


def test_every_row_is_accounted_for_in_the_report_and_the_state_folder(
    folder: Path, tmp_path: Path, now: datetime
) -> None:
    with (folder / "check_ins.csv").open("a") as file:
        file.write("kr-2,2026-01-20T10:00:00Z,x,,\nkr-2,2026-01-21T10:00:00Z,y,,\n")
    sent: list[EncodedEvent] = []
    history, rejected = read_folder(folder, state=tmp_path / "state", now=now)
    with sent_facts(tmp_path / "state") as facts:
        report = ImportReport(folder, history, rejected, send_history(history, sent.append, facts))

    assert report.as_json()["rows"] == {
        "key_results.csv": {"read": 2, "used": 2, "rejected": 0},
        "check_ins.csv": {"read": 5, "used": 3, "rejected": 2},
    }
    assert report.as_json()["sent"] == {"okr_user_events": len(sent)}
    assert "check_ins.csv: 5 rows read = 3 used + 2 rejected" in report.as_lines()
    assert (tmp_path / "state" / "rejected_rows.csv").read_text().splitlines() == [
        "file,line,reason,message",
        "check_ins.csv,5,bad_number,\"value must be a number such as 12.5, found 'x'.\"",
        "check_ins.csv,6,bad_number,\"value must be a number such as 12.5, found 'y'.\"",
    ]


def test_an_import_without_a_valid_key_result_fails_and_lists_why(folder: Path, tmp_path: Path, now: datetime) -> None:
    header = (folder / "key_results.csv").read_text().splitlines()[0]
    row = "kr-1,acme,Payments,,2026-Q1,2026-01-01,2026-03-31,Be quick,A title,days,7,7"
    (folder / "key_results.csv").write_text(f"{header}\n{row}\n")
    report = ImportReport(folder, *read_folder(folder, state=tmp_path / "state", now=now))

    with pytest.raises(PermanentError, match="none of its 1 rows is valid"):
        check_usable(report)
    assert any("line 2" in line and "must differ" in line for line in report.as_lines())
    assert (tmp_path / "state" / "rejected_rows.csv").read_text().count("target_equals_baseline") == 1


ROWS = """\
key_result_id,organisation,team,owner_email,cycle,cycle_start,cycle_end,objective,key_result,unit,baseline,target
a1,{first},A,ann@example.org,Q1,2026-01-01,2026-03-31,o,k,days,20,5
b1,{first},{beside},ann@example.org,Q1,2026-01-01,2026-03-31,o,k,days,20,5
b2,{second},B,ann@example.org,Q2,2026-04-01,2026-06-30,o,k,days,20,5
a2,{second},{then},ann@example.org,Q2,2026-04-01,2026-06-30,o,k,days,20,5
"""
STAYED = [("2026-01-01T00:00:00Z", "acme/A")]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"beside": "A", "then": "B"}, [*STAYED, ("2026-04-01T00:00:00Z", "acme/B")]),
        ({"beside": "B", "then": "A"}, STAYED),  # in both teams all the time
        ({"beside": "A", "then": "B", "second": "other"}, STAYED),
    ],
)
def test_an_owner_moves_with_their_key_results(
    read: Read, rows: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    text = ROWS.format(**{"first": "acme", "second": "acme", **rows})
    reading = read(key_results=text, check_ins="key_result_id,checked_in_at,value,confidence,note\n")
    assert reading.reasons == []
    users = [f for f in _frames(reading.events) if f["type"] == "okr.user.defined.v1"]
    assert [(f["time"], f["data"]["team_id"]) for f in users] == expected


ANNUAL = """\
key_result_id,organisation,team,owner_email,cycle,cycle_start,cycle_end,objective,key_result,unit,baseline,target
b1,acme,B,ann@example.org,Q1,2026-01-01,2026-03-31,o,k,days,20,5
a1,acme,A,ann@example.org,2025,2025-01-01,{end},o,k,days,20,5
b2,acme,B,ann@example.org,Q2,2026-04-01,{last},o,k,days,20,5
"""
IN_A = ("2025-01-01T00:00:00Z", "acme/A")


@pytest.mark.parametrize(
    ("end", "last", "expected"),
    [
        ("2026-06-30", "2026-06-30", [IN_A]),  # its last cycle ends with the team's
        ("2026-04-30", "2026-06-30", [IN_A, ("2026-05-01T00:00:00Z", "acme/B")]),
        ("2026-04-01", "2026-06-30", [IN_A, ("2026-04-02T00:00:00Z", "acme/B")]),
        ("2026-03-31", "2026-06-30", [IN_A, ("2026-04-01T00:00:00Z", "acme/B")]),
        ("2025-12-31", "2026-06-30", [IN_A, ("2026-01-01T00:00:00Z", "acme/B")]),
        ("2026-11-23", "2026-12-31", [IN_A, ("2026-11-24T00:00:00Z", "acme/B")]),  # today
        ("2026-11-24", "2026-12-31", [IN_A]),  # tomorrow's move is sent by a later import
    ],
)
def test_an_owner_stays_in_a_team_while_one_of_its_cycles_is_running(
    read: Read, end: str, last: str, expected: list[tuple[str, str]]
) -> None:
    reading = read(
        key_results=ANNUAL.format(end=end, last=last), check_ins="key_result_id,checked_in_at,value,confidence,note\n"
    )
    assert reading.reasons == []
    users = [f for f in _frames(reading.events) if f["type"] == "okr.user.defined.v1"]
    assert [(f["time"], f["data"]["team_id"]) for f in users] == expected
