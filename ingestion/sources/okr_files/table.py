"""A CSV file as rows of named cells, with line numbers. A broken row costs itself, never the rows after it."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

from ingestion.sources.okr_files.format import FileFormat, Rejection
from lakehouse.errors import ContractViolation, PermanentError

LONGEST_LINE = 120_000  # characters; the csv module itself stops at cells of 131,072
MOST_LINES_OF_A_ROW = 50  # a cell may hold line ends; a quote that is still open after these is a mistake


@dataclass(frozen=True, slots=True)
class Row:
    """Cells by column, stripped; `line` is where the row begins, from 1."""

    line: int
    cells: dict[str, str]


class Table:
    """An open CSV file whose header was found right. Iterate to get each row, or why it cannot be read."""

    def __init__(self, folder: Path, file_format: FileFormat) -> None:
        """Open the file and read its header.

        Raises:
            PermanentError: the file cannot be opened.
            ContractViolation: its header is missing or wrong; nothing of it may be used.
        """
        self.file = file_format.name
        self.path = folder / file_format.name
        self._text = _open(self.path)
        try:
            self._lines = _Lines(self._text)
            self._columns = self._header(file_format)
        except BaseException:
            self._text.close()
            raise
        self.ignored_columns = tuple(column for column in self._columns if column not in file_format.columns)

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._text.close()

    def __iter__(self) -> Iterator[Row | Rejection]:
        for line, cells in self._records():
            if isinstance(cells, Rejection):
                yield cells
            elif len(cells) > 1 or any(cell.strip() for cell in cells):
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Row | Rejection:
        width = len(self._columns)
        if len(cells) < width or any(cell.strip() for cell in cells[width:]):
            return self._reject(
                line, "wrong_cell_count", f"Expected {width} cells as in the header, found {len(cells)}."
            )
        if _holds_bad_bytes(cells):
            return self._reject(line, "not_utf8", "The row holds bytes that are not UTF-8. Save the file as UTF-8.")
        return Row(line, {column: cell.strip() for column, cell in zip(self._columns, cells, strict=False)})

    def _records(self) -> Iterator[tuple[int, list[str] | Rejection]]:
        """Each record with the line it begins at. When a record breaks, only its first line is given up."""
        while True:
            taken: list[str] = []
            line = self._lines.number + 1
            try:
                cells = next(csv.reader(self._take(taken), strict=True), None)
            except csv.Error as error:
                yield line, self._broken(line, taken, str(error))
                continue
            if cells is None:
                return
            if len(taken) > 1 and len(cells) != len(self._columns):
                yield line, self._broken(line, taken, f"the row then goes on to line {line + len(taken) - 1}")
            elif max(map(len, taken)) > LONGEST_LINE:
                yield line, self._broken(line, taken, "too long")
            else:
                yield line, cells

    def _take(self, taken: list[str]) -> Iterator[str]:
        while len(taken) < MOST_LINES_OF_A_ROW and (text := self._lines.read()) is not None:
            taken.append(text)
            yield text

    def _broken(self, line: int, taken: list[str], why: str) -> Rejection:
        self._lines.put_back(taken[1:])
        if len(taken[0]) > LONGEST_LINE:
            return self._reject(line, "line_too_long", f"A line may have at most {LONGEST_LINE} characters.")
        if '"' in taken[0]:
            return self._reject(
                line, "unbalanced_quotes", f"A quote is opened and not closed where it should be: {why}."
            )
        return self._reject(line, "bad_csv", f"Not a row of CSV: {why}.")

    def _reject(self, line: int, reason: str, message: str) -> Rejection:
        return Rejection(self.file, line, reason, message)

    def _header(self, file_format: FileFormat) -> list[str]:
        first = self._lines.read()
        expected = ",".join(file_format.columns)
        if first is None or not first.strip():
            raise ContractViolation(
                "missing_header", f"{self.path}: expected the header {expected} in line 1, found nothing."
            )
        if first.startswith(("\udcff\udcfe", "\udcfe\udcff")):
            raise ContractViolation("not_utf8", f"{self.path} is UTF-16. Save it as CSV in UTF-8.")
        found = [cell.strip() for cell in next(csv.reader([first]), [])]
        shown = "".join(c if c.isprintable() else "?" for c in ", ".join(found))[:500]
        missing = [column for column in file_format.columns if column not in found]
        if missing:
            hint = " Is it separated by semicolons or tabs? Save it with commas." if len(found) == 1 else ""
            raise ContractViolation(
                "wrong_header",
                f"{self.path}: expected the columns {expected}; found {shown}; missing {', '.join(missing)}.{hint}",
            )
        twice = sorted({column for column in found if column and found.count(column) > 1})
        if twice:
            raise ContractViolation("wrong_header", f"{self.path}: columns named twice: {', '.join(twice)}.")
        return found


class _Lines:
    """Physical lines of a text, and the number of the one read last; lines can be put back."""

    def __init__(self, text: TextIO) -> None:
        self.number = 0
        self._text = text
        self._ahead: deque[str] = deque()

    def read(self) -> str | None:
        line = self._ahead.popleft() if self._ahead else self._next_of_file()
        self.number += line is not None
        return line

    def put_back(self, lines: list[str]) -> None:
        self._ahead.extendleft(reversed(lines))
        self.number -= len(lines)

    def _next_of_file(self) -> str | None:
        line = self._text.readline(LONGEST_LINE + 1)
        rest = line if len(line) > LONGEST_LINE else ""  # a line without an end must not fill the memory
        while rest and not rest.endswith(("\n", "\r")):
            rest = self._text.readline(LONGEST_LINE)
        return line or None


def _open(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise PermanentError(f"{path}: expected a CSV file that can be read, but: {error.strerror}.") from error


def _holds_bad_bytes(cells: list[str]) -> bool:
    text = "".join(cells)
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
