"""Each invalid row is listed with its line and reason, and the other rows are used."""

from collections.abc import Callable
from typing import Any

import pytest

Read = Callable[..., Any]
KR = "kr-9,acme,Payments,a@example.org,2026-Q1,2026-01-01,2026-03-31,Be quick,A title,days,{},{}\n"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (KR.format("abc", "5"), "bad_number"),
        (KR.format("1_000", "5"), "bad_number"),
        (KR.format('"12,5"', "5"), "decimal_comma"),
        (KR.format("٣", "5"), "bad_number"),
        (KR.format("NaN", "5"), "not_finite"),
        (KR.format("1", "-inf"), "not_finite"),
        (KR.format("1", "1e999"), "out_of_range"),
        (KR.format("1", "2e15"), "out_of_range"),
        (KR.format("", "5"), "missing_value"),
        (KR.format("5", "5.0"), "target_equals_baseline"),
        (KR.format("1", "2").replace("2026-01-01", "01.01.2026"), "bad_date"),
        (KR.format("1", "2").replace("2026-01-01", "2026-13-01"), "bad_date"),
        (KR.format("1", "2").replace("2026-Q1,2026-01-01,2026-03-31", "Q,2026-03-31,2026-01-01"), "bad_cycle"),
        (KR.format("1", "2").replace("2026-Q1,2026-01-01,2026-03-31", "Q,2020-01-01,2026-01-01"), "bad_cycle"),
        (KR.format("1", "2").replace("2026-Q1,2026-01-01,2026-03-31", "Q,2027-01-01,2027-03-31"), "cycle_in_future"),
        (KR.format("1", "2").replace("2026-03-31", "2026-03-30"), "conflicting_cycle"),
        (KR.format("1", "2").replace("kr-9", "kr-1"), "duplicate_key_result_id"),
        (KR.format("1", "2").replace("kr-9", ""), "missing_value"),
        (KR.format("1", "2").replace("kr-9", "k" * 129), "bad_id"),
        (KR.format("1", "2").replace("kr-9", '"kr\n9"'), "bad_id"),
        (KR.format("1", "2").replace("a@example.org", "not an address"), "bad_data"),
        (KR.format("1", "2").replace("A title", "a\0b"), "nul_character"),
        (KR.format("1", "2").replace(",days,", ","), "wrong_cell_count"),
        (KR.format("1", "2").strip() + ",surplus\n", "wrong_cell_count"),
        (KR.format("1", "2").replace("A title", '"A" title'), "unbalanced_quotes"),
        (KR.format("1", "2").replace("A title", "x" * 130_000), "line_too_long"),
    ],
)
def test_an_invalid_key_result_rejects_only_its_own_row(read: Read, row: str, reason: str) -> None:
    reading = read(more_key_results=row + KR.format("1", "2").replace("kr-9", "kr-10"))

    assert reading.reasons == [("key_results.csv", 4, reason)]
    assert [name for name, _ in reading.history.key_results] == ["kr-1", "kr-2", "kr-10"]
    assert len(reading.history.check_ins) == 3


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("kr-7,2026-01-20T10:00:00Z,1,,\n", "unknown_key_result"),
        ("kr-2,2026-01-20T10:00:00Z,1.2.3,,\n", "bad_number"),
        ("kr-2,2026-01-20T10:00:00Z,nan,,\n", "not_finite"),
        ("kr-2,2026-01-20T10:00:00Z,1,70 %,\n", "bad_number"),
        ("kr-2,2026-01-20T10:00:00Z,1,70,\n", "out_of_range"),
        ("kr-2,2026-01-20T10:00:00Z,1,-0.1,\n", "out_of_range"),
        ("kr-2,20/01/2026,1,,\n", "bad_date"),
        ("kr-2,0001-01-01T00:00:00+14:00,1,,\n", "bad_date"),
        ("kr-2,,1,,\n", "missing_value"),
        ("kr-2,2025-12-31T23:59:59Z,1,,\n", "outside_cycle"),
        ("kr-2,2026-04-01T00:00:00Z,1,,\n", "outside_cycle"),
        ("kr-2,2026-05-02T00:00:00Z,1,,final value\n", "outside_cycle"),
        ("kr-2,2026-01-09T10:00:00Z,31,,slow start\n", "duplicate_check_in"),
        ("kr-2,2026-01-09T12:00:00+02:00,32,,slow start\n", "conflicting_check_in"),
        ('kr-2,2026-01-20T10:00:00Z,1,,"a "word" of it"\n', "unbalanced_quotes"),
        ("kr-2,2026-01-20T10:00:00Z,1\n", "wrong_cell_count"),
        (f"kr-2,2026-01-20T10:00:00Z,1,,{'n' * 10_001}\n", "bad_data"),
    ],
)
def test_an_invalid_check_in_rejects_only_its_own_row(read: Read, row: str, reason: str) -> None:
    reading = read(more_check_ins=row + "kr-2,2026-01-30T10:00:00Z,33,0.5,\n")

    assert reading.reasons == [("check_ins.csv", 5, reason)]
    assert len(reading.history.check_ins) == 4


def test_check_ins_of_a_rejected_key_result_say_that_its_row_was_rejected(read: Read) -> None:
    reading = read(more_key_results=KR.format("x", "2"), more_check_ins="kr-9,2026-01-30T10:00:00Z,3,,\n")

    assert reading.reasons == [("key_results.csv", 4, "bad_number"), ("check_ins.csv", 5, "unknown_key_result")]
    assert "its row was rejected" in reading.rejected[1].message


def test_a_check_in_dated_tomorrow_is_rejected(read: Read) -> None:
    row = KR.format("1", "2").replace("2026-Q1,2026-01-01,2026-03-31", "2026-Q4,2026-10-01,2026-12-31")
    reading = read(more_key_results=row, more_check_ins="kr-9,2026-11-25T10:00:00-02:00,3,,\n")

    assert reading.reasons == [("check_ins.csv", 5, "time_in_future")]
    assert "dated '2026-11-25T10:00:00-02:00', which is 2026-11-25T12:00:00Z" in reading.rejected[0].message


def test_a_final_value_up_to_fourteen_days_after_the_cycle_closes_its_key_result(read: Read) -> None:
    reading = read(more_check_ins="kr-2,2026-05-01T23:59:59Z,49,,Final value \n")

    assert reading.reasons == []
    assert list(reading.history.check_ins.values())[-1].is_final


def test_a_row_that_is_not_utf8_rejects_only_itself(read: Read) -> None:
    lines = b"key_result_id,checked_in_at,value,confidence,note\nkr-1,2026-01-08T10:00:00Z,18,,caf\xe9\n"
    reading = read(check_ins=lines + "kr-1,2026-01-09T10:00:00Z,17,,café\n".encode())

    assert reading.reasons == [("check_ins.csv", 2, "not_utf8")]
    assert [row.note for row in reading.history.check_ins.values()] == ["café"]
