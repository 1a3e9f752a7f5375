"""Quotes: a quoted cell may span lines, and the inside of a quote is never read as rows."""

from collections.abc import Callable
from typing import Any

import pytest

Read = Callable[..., Any]
FALSE_ROW = "kr-1,2026-01-20T10:00:00Z,99,0.9,never said\n"
NEXT = "kr-1,2026-01-30T10:00:00Z,7,,\n"


def _values(reading: Any) -> list[float]:
    return [row.value for row in reading.history.check_ins.values()]


@pytest.mark.parametrize("lines", [2, 60, 400])
def test_a_note_of_many_lines_is_one_cell_whatever_it_contains(read: Read, lines: int) -> None:
    note = "".join(f"minute {number}\n" for number in range(lines)) + FALSE_ROW
    reading = read(more_check_ins=f'kr-2,2026-01-20T10:00:00Z,1,,"{note}end"\n{NEXT}')

    assert reading.reasons == []
    assert _values(reading) == [18, 31, 6, 1, 7]
    assert FALSE_ROW in list(reading.history.check_ins.values())[3].note


def test_a_quote_that_is_never_closed_rejects_the_rest_of_the_file(read: Read) -> None:
    reading = read(more_check_ins='kr-2,2026-01-20T10:00:00Z,1,,"open\n' + FALSE_ROW + NEXT)

    assert reading.reasons == [("check_ins.csv", 5, "unclosed_quote")]
    assert "lines 5 to 7 were not read" in reading.rejected[0].message
    assert _values(reading) == [18, 31, 6]


@pytest.mark.parametrize(
    ("note", "lines"),
    [
        ('"one\nsaid "yes" to\n' + FALSE_ROW + 'bye"', 4),
        ('"A "B"\n' + FALSE_ROW + 'A"', 3),
        ('"A "B", C\n' + FALSE_ROW + 'A"', 3),
    ],
)
def test_unbalanced_quotes_over_several_lines_reject_those_lines(read: Read, note: str, lines: int) -> None:
    reading = read(more_check_ins=f"kr-2,2026-01-20T10:00:00Z,1,,{note}\n{NEXT}")

    assert reading.reasons == [("check_ins.csv", 5, "unclosed_quote")]
    assert f"lines 5 to {4 + lines}" in reading.rejected[0].message
    assert _values(reading) == [18, 31, 6, 7]


@pytest.mark.parametrize(
    "note", ['"one "two\n' + FALSE_ROW + 'three"', '"open\nkr-1,2026-01-20T10:00:00Z,99,,"fine, ok"', '"A" B']
)
def test_quotes_with_an_ambiguous_end_reject_the_rest_of_the_file(read: Read, note: str) -> None:
    reading = read(more_check_ins=f"kr-2,2026-01-20T10:00:00Z,1,,{note}\n{NEXT}")

    assert reading.reasons == [("check_ins.csv", 5, "unclosed_quote")]
    assert _values(reading) == [18, 31, 6]


@pytest.mark.parametrize("cell", ['"a" word', 'say "a word"', '"a "word" of it"', '5" pipe', '"with ""doubled"" ones"'])
def test_quotes_balanced_within_their_line_reject_at_most_that_line(read: Read, cell: str) -> None:
    row = f"kr-9,acme,Payments,,2026-Q1,2026-01-01,2026-03-31,Be quick,{cell},days,1,2\n"
    reading = read(more_key_results=row + row.replace("kr-9", "kr-10").replace(cell, "A title"))

    assert [name for name, _ in reading.history.key_results][-1] == "kr-10"
    assert {reason for _, _, reason in reading.reasons} <= {"unbalanced_quotes"}


def test_a_quote_after_a_space_opens_a_cell(read: Read) -> None:
    reading = read(more_check_ins='kr-2, 2026-01-20T10:00:00Z, 1, , "first, then\nsecond"\n')
    assert [row.note for row in reading.history.check_ins.values()][-1] == "first, then\nsecond"


def test_a_cell_that_looks_like_swallowed_rows_is_noted(read: Read) -> None:
    swallowed = "".join(f"kr-1,2026-01-{day}T10:00:00Z,{day},,\n" for day in range(20, 25))
    reading = read(more_check_ins=f'kr-2,2026-01-20T10:00:00Z,1,,"open\n{swallowed}kr-1,2026-01-28T10:00:00Z,1,,"\n')

    (note,) = reading.history.notes["check_ins.csv"]
    assert "lines 5 to 11 are one row" in note
    assert "6 of them look like rows" in note


def test_an_endless_line_or_cell_ends_reading_in_bounded_memory(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("text_lines", "csv_records"):
        monkeypatch.setattr(f"ingestion.sources.okr_files.{module}.MAX_CHARACTERS", 500_000)
    endless = read(more_check_ins=f"kr-2,2026-01-20T10:00:00Z,1,,{'n' * 600_000}\n{NEXT}")
    quoted = read(more_check_ins='kr-2,2026-01-20T10:00:00Z,1,,"' + "note\n" * 120_000 + NEXT)

    assert endless.reasons == [("check_ins.csv", 5, "file_cut_short")]
    assert quoted.reasons == [("check_ins.csv", 5, "unclosed_quote")]
    assert _values(endless) == _values(quoted) == [18, 31, 6]
