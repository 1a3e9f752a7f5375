"""Read a CSV file as rows of named cells with line numbers; report rows that cannot be read."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ingestion.sources.okr_files.csv_format import FileFormat, Rejection
from ingestion.sources.okr_files.csv_header import DELIMITERS, Header, columns_of, read_header
from ingestion.sources.okr_files.csv_records import Record, Records
from ingestion.sources.okr_files.text_lines import Lines, bad_bytes
from lakehouse.contracts.allowed_characters import strip

DECIMAL_COMMA = re.compile(r"[+-]?(\d*),(\d+)", re.ASCII)
_SUSPICIOUS_LINES = 2
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Row:
    """The stripped cells of the format's columns. `line` is the number of the line on which the row starts, from 1."""

    line: int
    cells: dict[str, str]


class Table:
    """An open CSV file with a valid header. Iteration yields each row, or a rejection if it cannot be read."""

    def __init__(self, folder: Path, file_format: FileFormat) -> None:
        """Open the file and read its header.

        Raises:
            PermanentError: the file cannot be opened.
            ContractViolation: its header is missing or wrong; the whole file is rejected.
        """
        self.file = file_format.name
        self._path = folder / file_format.name
        self._format = file_format
        self._lines = Lines(self._path)
        try:
            self._header = read_header(self._path, self._lines, file_format)
        except BaseException:
            self._lines.close()
            raise
        self.ignored_columns = self._header.surplus(file_format)
        self._note_counts: Counter[str] = Counter()
        self._first_repeated = 0
        self._suspicious_cells: list[str] = []
        self._ambiguous_comma = ""

    def __enter__(self) -> "Table":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def notes(self) -> list[str]:
        """Return notes on unusual formatting that is not an error. Call this after all rows have been read."""
        notes = []
        if self._header.delimiter != ",":
            notes.append(f"cells are separated by {DELIMITERS[self._header.delimiter]}")
        if self._note_counts["decimal_comma"]:
            notes.append(f"{self._note_counts['decimal_comma']} numbers were read with a decimal comma")
        if self._note_counts["blank"]:
            notes.append(f"{self._note_counts['blank']} blank rows skipped")
        if self._note_counts["header"]:
            notes.append(
                f"{self._note_counts['header']} repeated header rows skipped, the first in line {self._first_repeated}"
            )
        if self._ambiguous_comma:
            notes.append(self._ambiguous_comma)
        return notes + self._suspicious_cells[:5]

    def __iter__(self) -> Iterator[Row | Rejection]:
        records = Records(self._lines, self._header.delimiter, len(self._header.columns))
        has_decimal_commas = self._header.delimiter != "," and self._has_decimal_commas()
        header = self._header
        for record in records:
            cells = [strip(cell) for cell in record.cells]
            if not (record.reason or any(cells)):
                self._note_counts["blank"] += 1
            elif not record.reason and (found := self._repeated_header(cells)):
                header = Header(found, header.delimiter)
                self._first_repeated = self._first_repeated or record.line
                self._note_counts["header"] += 1
            elif rejection := self._rejection(record, cells, header):
                yield rejection
            else:
                row = {column: cells[header.columns.index(column)] for column in self._format.columns}
                self._note_suspicious_cell(record)
                yield Row(record.line, self._with_decimal_points(row) if has_decimal_commas else row)

    def _rejection(self, record: Record, cells: list[str], header: Header) -> Rejection | None:
        if record.reason:
            return Rejection(self.file, record.line, record.reason, record.message)
        width = len(header.columns)
        if len(cells) < header.needed_width(self._format) or any(cells[width:]):
            lines = f" (lines {record.line} to {record.last_line})" if record.last_line > record.line else ""
            message = f"Expected {width} cells as in the header, found {len(cells)}{lines}."
            return Rejection(self.file, record.line, "wrong_cell_count", message)
        if invalid_bytes := bad_bytes("".join(cells)):
            found = f"{invalid_bytes[0]:#04x}"
            guess = invalid_bytes[:1].decode("cp1252", errors="replace")
            message = (
                f"The row contains bytes that are not UTF-8. The first one is {found} ({guess!r} if the file is "
                "Windows-1252). Save the file as 'CSV UTF-8'."
            )
            return Rejection(self.file, record.line, "not_utf8", message)
        return None

    def _repeated_header(self, cells: list[str]) -> tuple[str, ...] | None:
        """Return the columns if the row is another header, as in concatenated files. Their order may differ."""
        if not any(cell[:3].casefold() == "key" for cell in cells):
            return None
        columns = columns_of(cells, self._format)
        return columns if all(columns.count(column) == 1 for column in self._format.columns) else None

    def _note_suspicious_cell(self, record: Record) -> None:
        """Note a cell that looks like several rows. If two quotes are missing, the rows between them form one cell."""
        if record.last_line == record.line:
            return
        inner = [line for cell in record.cells for line in cell.splitlines()[1:]]
        width = len(self._header.columns)
        row_like_lines = sum(line.count(self._header.delimiter) == width - 1 for line in inner)
        if row_like_lines >= _SUSPICIOUS_LINES:
            self._suspicious_cells.append(
                f"lines {record.line} to {record.last_line} are one row with a quoted cell, but {row_like_lines} of "
                "them look like rows; if they are, a quote is missing"
            )

    def _has_decimal_commas(self) -> bool:
        """Return whether at least one number certainly has a decimal comma, and no number contains a point."""
        has_sure_comma, number_with_point = False, ""
        with Lines(self._path) as lines:
            header = read_header(self._path, lines, self._format)
            positions = [header.columns.index(column) for column in self._format.numbers]
            for record in Records(lines, header.delimiter, len(header.columns)):
                for position in positions:
                    number = strip(record.cells[position]) if position < len(record.cells) else ""
                    if "." in number and not number_with_point:
                        number_with_point = f"{header.columns[position]} in line {record.line} is {number[:_SHOWN]!r}"
                    has_sure_comma = has_sure_comma or _is_surely_decimal(number)
                if has_sure_comma and number_with_point:
                    self._ambiguous_comma = f"{number_with_point}, with a point, so the file's commas are ambiguous"
                    return False
        return has_sure_comma and not number_with_point

    def _with_decimal_points(self, row: dict[str, str]) -> dict[str, str]:
        for column in self._format.numbers:
            if DECIMAL_COMMA.fullmatch(row[column]):
                self._note_counts["decimal_comma"] += 1
                row[column] = row[column].replace(",", ".")
        return row


def _is_surely_decimal(number: str) -> bool:
    """Return whether the comma must be a decimal comma, as in 12,5 or 0,125 or 1234,567, but not in 1,234."""
    found = DECIMAL_COMMA.fullmatch(number)
    return found is not None and (len(found[2]) != 3 or found[1] in {"", "0"} or len(found[1]) > 3)
