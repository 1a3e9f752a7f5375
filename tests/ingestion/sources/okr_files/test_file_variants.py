"""File variants: delimiters, decimal commas, encodings, headers, blank rows, concatenated files."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion.sources.okr_files.importer import ImportReport, read_folder
from ingestion.sources.okr_files.row_validation import read_history
from lakehouse.errors import ContractViolation
from tests.ingestion.sources.okr_files.conftest import CHECK_INS, KEY_RESULTS

Read = Callable[..., Any]
HEADER = "key_result_id,checked_in_at,value,confidence,note\n"


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_read_and_reported(read: Read, delimiter: str) -> None:
    plain = read()
    reading = read(**{
        "key_results": KEY_RESULTS.replace(",", delimiter), "check_ins": CHECK_INS.replace(",", delimiter)
    })  # fmt: skip

    assert reading.events == plain.events
    assert "separated by" in reading.history.notes["check_ins.csv"][0]


def test_decimal_commas_are_read_if_they_are_unambiguous(read: Read) -> None:
    rows = "kr-1;2026-01-08;18,5;0,7;\nkr-2;2026-01-09;1234,567;;\nkr-1;2026-01-10;1,234;;\n"
    reading = read(check_ins=HEADER.replace(",", ";") + rows)

    assert [row.value for row in reading.history.check_ins.values()] == [18.5, 1234.567, 1.234]
    assert "4 numbers were read with a decimal comma" in reading.history.notes["check_ins.csv"]


@pytest.mark.parametrize(
    ("value", "other"), [("1,234", "17"), ("18,5", "17.5"), ("1.234,5", "17"), ("1 234,5", "17"), ("1'234,5", "2")]
)
def test_a_comma_that_may_separate_thousands_is_rejected(read: Read, value: str, other: str) -> None:
    rows = f"kr-1;2026-01-08;{value};;\nkr-1;2026-01-09;{other};;\n"
    reading = read(check_ins=HEADER.replace(",", ";") + rows)

    assert reading.reasons == [("check_ins.csv", 2, "decimal_comma")]
    assert repr(value) in reading.rejected[0].message


def test_the_cell_that_makes_decimal_commas_ambiguous_is_named(read: Read) -> None:
    """One 1.234,5 among plain decimal commas: all of these are rejected, so the message must name the cause."""
    rows = "kr-1;2026-01-08;18,5;0,7;\nkr-1;2026-01-09;1.234,5;0,7;\n"
    reading = read(check_ins=HEADER.replace(",", ";") + rows)

    note = "value in line 3 is '1.234,5', with a point, so the file's commas are ambiguous"
    assert note in reading.history.notes["check_ins.csv"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_the_encoding_of_a_byte_order_mark_is_used(read: Read, encoding: str) -> None:
    text = CHECK_INS.replace("slow start", "café, naïve".replace(",", ""))
    reading = read(check_ins=text.encode(encoding))

    assert [row.note for row in reading.history.check_ins.values()][1] == "café naïve"


def test_a_windows_1252_file_is_rejected_with_its_first_invalid_byte(read: Read) -> None:
    reading = read(check_ins=CHECK_INS.replace("slow start", "café").encode("cp1252"))

    assert reading.reasons == [("check_ins.csv", 3, "not_utf8")]
    assert "0xe9 ('é' if the file is Windows-1252)" in reading.rejected[0].message


@pytest.mark.parametrize(
    "header",
    [
        "Key_Result_ID,Checked In At,VALUE,confidence, note \n",
        "\ufeffkey_result_id,checked-in-at,value\u200b,confidence,\u00a0note\n",
        '"key_result_id","checked_in_at","value","confidence","note"\n',
        "\n\n,,,,\nkey_result_id,checked_in_at,value,confidence,note\n",
        "sep=,\nkey_result_id,checked_in_at,value,confidence,note\n",
        'key_result_id,checked_in_at,value,confidence,note,"Custom\nfield"\n',
    ],
)
def test_a_header_is_recognised_in_various_spellings(read: Read, header: str) -> None:
    row = "kr-1,2026-01-08T10:00:00Z,18,,a note"
    row += "," if "Custom" in header else ""
    assert [each.note for each in read(check_ins=f"{header}{row}\n").history.check_ins.values()] == ["a note"]


def test_surplus_columns_may_repeat_but_required_columns_may_not(read: Read, folder: Path, now: datetime) -> None:
    reading = read(check_ins=HEADER.replace("note", "Label,note,Label,Label") + "kr-1,2026-01-08,18,,a,n,b,\n")
    assert reading.history.ignored_columns == {"check_ins.csv": ("Label",)}
    assert [row.note for row in reading.history.check_ins.values()] == ["n"]

    (folder / "check_ins.csv").write_text(HEADER.replace("note", "note,Note"))
    with pytest.raises(ContractViolation, match="duplicate columns: note"):
        read_history(folder, now=now, reject=print)


def test_a_misspelt_column_is_reported_with_a_suggestion(folder: Path, now: datetime) -> None:
    (folder / "check_ins.csv").write_text(HEADER.replace("confidence", "confidance"))
    with pytest.raises(ContractViolation, match="'confidance' looks like confidence"):
        read_history(folder, now=now, reject=print)


def test_concatenated_files_are_read_even_with_columns_in_another_order(read: Read) -> None:
    joined = (
        f'{HEADER}kr-1,2026-01-08,18,,\n\ufeff{HEADER}\ufeff"kr-1",2026-01-09,17,,\n'
        "value,note,key_result_id,checked_in_at,confidence\n16,third,kr-1,2026-01-10,0.5\n"
    )
    reading = read(check_ins=joined)

    assert [row.value for row in reading.history.check_ins.values()] == [18, 17, 16]
    assert reading.history.notes["check_ins.csv"] == ["2 repeated header rows skipped, the first in line 3"]


def test_one_rare_fault_is_shown_among_six_hundred_trivial_ones(folder: Path, tmp_path: Path, now: datetime) -> None:
    blank = ",,,,\n\u00a0,,\u200b,,\n" * 300
    trivial = "".join(f"kr-1,2026-02-{1 + n // 40:02}T10:{n % 40:02}:00Z,18,{n}%,\n" for n in range(600))
    mistake = "kr-2,2026-02-08T10:00:00Z,1O,0.5,\n"
    (folder / "check_ins.csv").write_text(CHECK_INS + blank + trivial + mistake)
    report = ImportReport(folder, *read_folder(folder, state=tmp_path / "state", now=now))
    lines = report.as_lines()

    assert len(lines) < 20
    assert "check_ins.csv: 600 blank rows skipped" in lines
    assert "    line 1205: value must be a number such as 12.5, found '1O'." in lines
    assert "  check_ins.csv: bad_number: 600 rows" in lines
    assert report.as_json()["rows"]["check_ins.csv"] == {"read": 604, "used": 3, "rejected": 601}


def test_check_ins_of_a_rejected_key_result_are_grouped_into_one_kind(
    folder: Path, tmp_path: Path, now: datetime
) -> None:
    (folder / "key_results.csv").write_text(KEY_RESULTS.replace("30.5,50", "x,50"))
    rows = "".join(f"kr-2,2026-02-01T10:{n:02}:00Z,31,,\n" for n in range(60))
    (folder / "check_ins.csv").write_text(CHECK_INS + rows + "kr-3,2026-02-01,1,,\n")
    lines = ImportReport(folder, *read_folder(folder, state=tmp_path / "state", now=now)).as_lines()

    assert "    line 3 (and 60 more such lines): Unknown key result 'kr-2': its row was rejected." in lines
    assert "    line 65: Unknown key result 'kr-3': it is not in key_results.csv." in lines
