"""Files as spreadsheets and editors write them, and files that are rejected as a whole."""

import codecs
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion.sources.okr_files.row_validation import read_history
from lakehouse.errors import ContractViolation, PermanentError

Read = Callable[..., Any]
HEADER = b"key_result_id,checked_in_at,value,confidence,note\n"


def _ignore(_: object) -> None:
    raise AssertionError("nothing may be read before both headers are found right")


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(read: Read, folder: Path) -> None:
    plain = [event.value for event in read().events]
    files = {
        name: codecs.BOM_UTF8 + (folder / f"{name}.csv").read_bytes().replace(b"\n", b"\r\n")
        for name in ("key_results", "check_ins")
    }

    assert [event.value for event in read(**files).events] == plain


def test_classic_mac_line_ends_and_blank_lines_keep_line_numbers_right(read: Read) -> None:
    content = HEADER + b"\n\nkr-1,2026-01-08T10:00:00Z,x,,\n   \nkr-1,2026-01-08T10:00:00Z,18,,\n"
    assert read(check_ins=content.replace(b"\n", b"\r")).reasons == [("check_ins.csv", 4, "bad_number")]


def test_a_quoted_cell_may_contain_line_ends_and_the_next_row_keeps_its_line_number(read: Read) -> None:
    content = HEADER + b'kr-1,2026-01-08T10:00:00Z,18,,"one\ntwo, ""three"""\nkr-1,2026-01-09T10:00:00Z,x,,\n'
    reading = read(check_ins=content)

    assert [row.note for row in reading.history.check_ins.values()] == ['one\ntwo, "three"']
    assert reading.reasons == [("check_ins.csv", 4, "bad_number")]


def test_columns_in_another_order_are_read_and_surplus_ones_are_reported(read: Read) -> None:
    reading = read(check_ins="mood,note,value,key_result_id,confidence,checked_in_at\n:),n,18,kr-1,,2026-01-08\n")

    assert reading.history.ignored_columns == {"check_ins.csv": ("mood",)}
    assert [row.value for row in reading.history.check_ins.values()] == [18.0]


def test_empty_cells_at_the_end_of_a_row_are_ignored(read: Read) -> None:
    assert read(more_check_ins="kr-2,2026-01-30T10:00:00Z,33,0.5,,,\n").reasons == []


def test_a_check_ins_file_with_only_a_header_is_valid(read: Read) -> None:
    assert read(check_ins=HEADER).history.check_ins == {}


@pytest.mark.parametrize(
    ("content", "reason", "says"),
    [
        (b"", "missing_header", "found only blank"),
        (b"\n\n", "missing_header", "found only blank"),
        (b"key_result_id,when,value,confidence,note\n", "wrong_header", "found key_result_id, when, value"),
        (b"key_result_id,when,value,confidence,note\n", "wrong_header", "missing checked_in_at"),
        (b"key_result_id:checked_in_at:value:confidence:note\n", "wrong_header", "semicolons"),
        (b"key_result_id,checked_in_at,value,value,confidence,note\n", "wrong_header", "duplicate columns: value"),
        (HEADER.decode().encode("utf-16-le"), "not_utf8", "UTF-16"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xff\xfe\n", "not_csv", "Excel"),
        (b"id,\x1b[31mred,\xff\n", "wrong_header", r"found id, \[31mred, \?;"),
        (b"kr-1,2026-01-08T10:00:00Z,18,0.7,\n", "wrong_header", "missing key_result_id"),
    ],
)
def test_a_wrong_header_rejects_the_whole_file(
    folder: Path, now: datetime, content: bytes, reason: str, says: str
) -> None:
    (folder / "check_ins.csv").write_bytes(content)
    with pytest.raises(ContractViolation, match=says) as caught:
        read_history(folder, now=now, reject=_ignore)
    assert caught.value.reason == reason
    assert "check_ins.csv" in str(caught.value)


def test_a_missing_file_is_named(folder: Path, now: datetime) -> None:
    (folder / "check_ins.csv").unlink()
    with pytest.raises(PermanentError, match=r"check_ins\.csv: .*No such file"):
        read_history(folder, now=now, reject=_ignore)


def test_a_missing_folder_is_named_with_the_files_it_should_contain(tmp_path: Path, now: datetime) -> None:
    with pytest.raises(PermanentError, match=r"nowhere is not a folder.*key_results\.csv and check_ins\.csv"):
        read_history(tmp_path / "nowhere", now=now, reject=_ignore)


def test_a_folder_in_place_of_a_file_is_rejected(folder: Path, now: datetime) -> None:
    (folder / "check_ins.csv").unlink()
    (folder / "check_ins.csv").mkdir()
    with pytest.raises(PermanentError, match="Is a directory"):
        read_history(folder, now=now, reject=_ignore)
