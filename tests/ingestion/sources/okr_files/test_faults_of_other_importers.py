"""Faults that users reported in other importers; each case names the issue or pull request."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion.sources.okr_files.row_validation import read_history
from lakehouse.errors import ContractViolation

Read = Callable[..., Any]
HEADER = "key_result_id,checked_in_at,value,confidence,note\n"
ROW = "kr-1,2026-01-08T10:00:00Z,18,0.5,a note\n"


def _check_ins(reading: Any) -> list[tuple[float, str]]:
    return [(row.value, row.note) for row in reading.history.check_ins.values()]


# Files that must be read, with (value, note) of each check-in.
READ = {
    # github.com/mautic/mautic/issues/1379: a line break within a cell made a second record
    "a line break in a cell": (HEADER + ROW.replace("a note", '"one\ntwo"'), [(18, "one\ntwo")]),
    # github.com/molgenis/molgenis/issues/6492, dotCMS/core/issues/36508: the first column was not found after the mark
    "a byte-order mark": ("\ufeff" + HEADER + ROW, [(18, "a note")]),
    # github.com/shridhar-tl/jira-assistant/issues/317: quoted headers were not found
    "quoted headers": ('"key_result_id","checked_in_at","value","confidence","note"\n' + ROW, [(18, "a note")]),
    # github.com/NHSDigital/manage-vaccinations-in-schools/pull/3410: Excel's no-break spaces in headers
    "no-break spaces in headers": (HEADER.replace("value", "\u00a0value\u00a0") + ROW, [(18, "a note")]),
    # github.com/firefly-iii/firefly-iii/issues/691: rows of commas at the top and after the header
    "rows of commas": (f",,,,\n{HEADER},,,,\n{ROW},,,,\n", [(18, "a note")]),
    # github.com/pcreux/csv-importer/issues/54: a blank row above the header, a blank first column
    "a blank row and a blank column": (f",,,,,\n,{HEADER},{ROW}", [(18, "a note")]),
    # github.com/streamthoughts/kafka-connect-file-pulse/issues/106: Jira repeats a column for each value
    "Jira's repeated columns": (
        HEADER.replace("note", "note,Sprint,Sprint") + ROW.replace("note", "note,S1,"),
        [(18, "a note")],
    ),
    # github.com/bardsoftware/ganttproject/issues/1634, MangoAutomation/ma-core-public/issues/465: headers padded
    "a padded header": (HEADER.replace("note", "note,,,") + ROW, [(18, "a note")]),
    # github.com/ddeboer/data-import/pull/33: empty surplus cells at the end are omitted
    "surplus cells left out": (HEADER.replace("note", "note,Mood,Tag") + ROW, [(18, "a note")]),
    # github.com/linear/linear/issues/624: a space after each comma became part of the value
    "a space after each comma": (HEADER.replace(",", ", ") + ROW.replace(",", ", "), [(18, "a note")]),
    # github.com/jasp-stats/jasp-issues/issues/3608: 0,435 was read as 435 (1,286 is then decimal, too)
    "decimal commas": (
        HEADER.replace(",", ";") + "kr-1;2026-01-08;0,435;;\nkr-1;2026-01-09;1,286;;\n",
        [(0.435, ""), (1.286, "")],
    ),
    # github.com/actualbudget/actual/issues/6206, pola-rs/polars/issues/28163: the minus sign U+2212 was dropped
    "a typographic minus": (HEADER + ROW.replace("18", "\u221218"), [(-18, "a note")]),
    # github.com/chansen/p5-time-moment/issues/46, moment/luxon/issues/1610: RFC 3339 allows t and z in lower case
    "t and z in lower case": (HEADER + ROW.replace("T10:00:00Z", "t10:00:00z"), [(18, "a note")]),
    # github.com/actualbudget/actual/issues/1769: semicolons with decimal commas, as a German bank writes them
    "semicolons and quotes": (
        HEADER.replace(",", ";") + 'kr-1;2026-01-08;"20,00";"0,5";"a; note"\n',
        [(20, "a; note")],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_files_that_other_importers_misread_are_read(read: Read, case: str) -> None:
    content, expected = READ[case]
    reading = read(check_ins=content)

    assert reading.reasons == []
    assert _check_ins(reading) == expected


@pytest.mark.parametrize("note", ["Final\u00a0value", "final  value", "final\tvalue"])
def test_final_value_is_recognised_with_any_kind_of_space(read: Read, note: str) -> None:
    """With a no-break space the note used to be an ordinary note, and the key result was never closed.

    See github.com/NHSDigital/manage-vaccinations-in-schools/pull/3410 and art-from-the-machine/Mantella/pull/56.
    """
    (row,) = read(check_ins=HEADER + ROW.replace("a note", note)).history.check_ins.values()
    assert row.is_final


# Rows that must be rejected without misreading the rows after them.
REJECTED = {
    # github.com/BurntSushi/xsv/issues/186: SQL Server does not double quotes, here over two lines
    "quotes undoubled over two lines": ('kr-1,2026-01-08,18,,"A "B"\nA"\n', "unclosed_quote"),
    # github.com/jexp/batch-import/issues/50: an unmatched quote silently swallowed the whole file
    "an unmatched quote": ('kr-1,2026-01-08,18,,"open\n' + ROW * 3, "unclosed_quote"),
    # github.com/harung1993/dollardollar/issues/55: 173,900 is 173.9 for one reader and 173900 for another
    "a comma of either kind": ('kr-1,2026-01-08,"173,900",,\n', "decimal_comma"),
    # github.com/dbeaver/dbeaver/issues/7839: 10 237,65 with a (no-break) space lost its fraction
    "a space between thousands": ('kr-1,2026-01-08,"10\u00a0237,65",,\n', "decimal_comma"),
    # github.com/mautic/mautic/pull/610 pads short rows; a truncated file would yield value 1 instead of 18
    "a row cut within its value": ("kr-1,2026-01-08,1", "wrong_cell_count"),
    # github.com/LuteOrg/lute-v3/issues/612: zero-width spaces within words
    "a zero-width space within an id": ("kr\u200b-1,2026-01-08,18,,\n", "bad_id"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_ambiguous_rows_are_rejected(read: Read, case: str) -> None:
    row, reason = REJECTED[case]
    reading = read(check_ins=HEADER + row)

    assert reading.reasons == [("check_ins.csv", 2, reason)]
    assert _check_ins(reading) == []


@pytest.mark.parametrize("cell", ["ann@x.org; bo@x.org", "ann@x.org\nbo@x.org", "Ann <ann@x.org>"])
def test_an_owner_that_is_not_one_address_is_rejected_with_a_readable_message(read: Read, cell: str) -> None:
    """The message used to quote a regular expression and did not name the column.

    See github.com/KingdomFirst/Excavator/issues/112 and mysociety/alaveteli/issues/7652.
    """
    row = f'kr-3,acme,Search,"{cell}",2026-Q1,2026-01-01,2026-03-31,Be found,Reach it,percent,30,50\n'
    (rejected,) = read(more_key_results=row).rejected
    assert rejected.reason in {"bad_data", "bad_name"}
    assert "owner_email" in rejected.message
    assert "regex" not in rejected.message


def test_a_file_with_only_a_byte_order_mark_is_rejected(folder: Path, now: datetime) -> None:
    """Such an import reported success in github.com/herrerad85/tallybook/pull/185."""
    (folder / "check_ins.csv").write_bytes("\ufeff".encode())
    with pytest.raises(ContractViolation, match="found only blank lines"):
        read_history(folder, now=now, reject=print)


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
def test_dates_do_not_depend_on_the_local_time_zone(read: Read, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """Dates moved by a day in github.com/dbeaver/dbeaver/issues/16624 and bcgov/alcs/issues/2820."""
    plain = read().events
    monkeypatch.setenv("TZ", zone)
    assert read().events == plain
