"""Parsing of cells: normalised ids and names, times at the end of a cycle or finer than microseconds, dates."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ingestion.contract_validation import decode, encode
from lakehouse.contracts.check_in import CheckInRecorded

Read = Callable[..., Any]
KR = "{},acme,Payments,,2026-Q1,2026-01-01,2026-03-31,Be quick,A title,days,1,2\n"
DECOMPOSED, COMPOSED = "cafe\u0301", "caf\u00e9"


@pytest.mark.parametrize(
    "written", ["kr-9", "\ufeffkr-9", "kr-9\u200b", "\u00a0kr-9\u2060", "\u200ekr-9\u00ad", "kr-9\u3000", '" kr-9\t"']
)
def test_invisible_characters_at_the_ends_of_an_id_are_stripped(read: Read, written: str) -> None:
    reading = read(more_key_results=KR.format(written), more_check_ins="kr-9,2026-01-30,1.5,,\n")

    assert reading.reasons == []
    assert [name for name, _ in reading.history.key_results][-1] == "kr-9"


def test_two_unicode_forms_of_an_id_are_the_same_id(read: Read) -> None:
    reading = read(more_key_results=KR.format(DECOMPOSED), more_check_ins=f"{COMPOSED},2026-01-30,1.5,,\n")

    assert reading.reasons == []
    assert [name for name, _ in reading.history.key_results][-1] == COMPOSED


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("kr\u00a09", r"U\+00A0 \(NO-BREAK SPACE\)"),
        ("kr\u200b9", r"U\+200B \(ZERO WIDTH SPACE\)"),
        ("kr\ufeff9", r"U\+FEFF"),
        ("kr\u202e9", r"U\+202E \(RIGHT-TO-LEFT OVERRIDE\)"),
        ("kr\ufe0f9", r"U\+FE0F"),
        ("kr\ufffd9", r"U\+FFFD \(REPLACEMENT CHARACTER\)"),
        ("kr\x7f9", r"U\+007F \(a control character\)"),
    ],
)
def test_an_invisible_character_within_an_id_is_reported_with_its_code_point(
    read: Read, written: str, names: str
) -> None:
    reading = read(more_key_results=KR.format(written), more_check_ins=f"{written},2026-01-30,1.5,,\n")

    assert reading.reasons == [("key_results.csv", 4, "bad_id"), ("check_ins.csv", 5, "bad_id")]
    assert all(re.search(names, rejection.message) for rejection in reading.rejected)


def test_names_that_look_alike_are_one_team_and_one_objective(read: Read) -> None:
    plain = KR.format("kr-8")
    other = KR.format("kr-9").replace("acme", "\u200bacme").replace("Payments", "Payments\u00a0")
    other = other.replace("Be quick", "Be\u00a0quick ")
    reading = read(more_key_results=plain + other)
    frames = [json.loads(event.value) for event in reading.events]

    assert reading.reasons == []
    teams = {frame["subject"] for frame in frames if ".team." in frame["type"]}
    assert teams == {"acme/Payments", "acme/Search"}
    objectives = {f["data"]["objective_id"] for f in frames if f["subject"] in {"kr-8", "kr-9"}}
    assert len(objectives) == 1


@pytest.mark.parametrize("name", ["Team \U0001f469\u200d\U0001f4bb", "\u2764\ufe0f care", "نمی\u200cخواهم"])
def test_characters_that_scripts_and_emoji_need_stay_in_a_name(read: Read, name: str) -> None:
    reading = read(more_key_results=KR.format("kr-9").replace("Payments", name))
    teams = [json.loads(e.value)["data"]["name"] for e in reading.events if b"team.defined" in e.value]

    assert reading.reasons == []
    assert name in teams


def test_an_invisible_character_within_a_name_is_rejected(read: Read) -> None:
    reading = read(more_key_results=KR.format("kr-9").replace("Payments", "Pay\u00adments"))

    assert reading.reasons == [("key_results.csv", 4, "bad_name")]
    assert "U+00AD (SOFT HYPHEN)" in reading.rejected[0].message


def test_a_time_outside_its_cycle_in_utc_is_reported_with_the_original_cell(read: Read) -> None:
    reading = read(
        more_check_ins="kr-1,2026-03-31T23:30:00-05:00,7,,\nkr-1,2026-04-01T01:30:00+02:00,8,,\n"
    )  # the second is 23:30 of the last day

    assert reading.reasons == [("check_ins.csv", 5, "outside_cycle")]
    assert "in UTC" in reading.rejected[0].message
    assert "'2026-03-31T23:30:00-05:00', which is 2026-04-01T04:30:00Z" in reading.rejected[0].message


@pytest.mark.parametrize("digits", ["1", "123456", "1234567", "1234565", "123456499", "999999999"])
def test_fractions_of_a_second_are_truncated_as_in_a_message(read: Read, digits: str) -> None:
    text = f"2026-01-20T10:00:00.{digits}Z"
    reading = read(more_check_ins=f"kr-1,{text},7,,\n")
    (found,) = [at for name, at in reading.history.check_ins if at.day == 20]

    assert found == datetime.fromisoformat(f"2026-01-20T10:00:00.{digits[:6]}Z")
    data = CheckInRecorded(check_in_id="c", key_result_id="kr-1", value=7.0)
    sent = encode(data, at=datetime(2026, 1, 20, 10, tzinfo=UTC), source="test")
    message = sent.value.replace(b"2026-01-20T10:00:00Z", text.encode())
    assert decode(sent.topic, message).envelope.time == found


def test_a_time_finer_than_microseconds_stays_in_its_cycle(read: Read) -> None:
    """It used to be rounded up to the first moment of the next cycle."""
    assert read(more_check_ins="kr-1,2026-03-31T23:59:59.9999999Z,7,,\n").reasons == []


def test_a_year_below_1000_is_reported_with_leading_zeros(read: Read) -> None:
    reading = read(more_check_ins="kr-1,0001-01-01,7,,\n")
    assert "found '0001-01-01', which is 0001-01-01T00:00:00Z" in reading.rejected[0].message


@pytest.mark.parametrize("written", ["2026-01-01 00:00:00", "2026-01-01T00:00", "20260101"])
def test_a_date_with_a_midnight_time_is_that_date(read: Read, written: str) -> None:
    assert read(more_key_results=KR.format("kr-9").replace("2026-01-01", written)).reasons == []


@pytest.mark.parametrize("written", ["2026-01-01T12:00", "2026-01-01T00:00Z", "1/2/2026", "01.02.2026", "45658"])
def test_an_ambiguous_date_is_rejected(read: Read, written: str) -> None:
    reading = read(more_key_results=KR.format("kr-9").replace("2026-01-01", written))
    assert reading.reasons == [("key_results.csv", 4, "bad_date")]


def test_a_time_without_a_zone_is_utc(read: Read) -> None:
    reading = read(more_check_ins="kr-1,2026-01-20 10:00,7,,\n")
    assert ("kr-1", datetime(2026, 1, 20, 10, tzinfo=UTC)) in reading.history.check_ins
