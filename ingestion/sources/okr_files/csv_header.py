"""Read the header of a CSV file and detect the delimiter and the position of each column."""

import csv
import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from ingestion.sources.okr_files.csv_format import FileFormat
from ingestion.sources.okr_files.text_lines import Lines
from lakehouse.contracts.allowed_characters import normalised_name, printable
from lakehouse.errors import ContractViolation

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_MAX_HEADER_LINES = 50  # limit for a header whose cells contain line ends
_separator_line = re.compile(r'\ufeff?"?sep=(.)"?\s*', re.IGNORECASE)
_any_delimiter = re.compile("[" + "".join(DELIMITERS) + "]")
_gap = re.compile(r"[\s_-]+")


@dataclass(frozen=True)
class Header:
    """The columns in file order. Surplus columns keep their names from the file."""

    columns: tuple[str, ...]
    delimiter: str

    def needed_width(self, file_format: FileFormat) -> int:
        """Return the minimum number of cells in a row. Spreadsheets omit empty cells at the end of a row."""
        return 1 + max(self.columns.index(column) for column in file_format.columns)

    def surplus(self, file_format: FileFormat) -> tuple[str, ...]:
        """Return the names of columns that the format does not define, without duplicates."""
        return tuple(dict.fromkeys(name for name in self.columns if name and name not in file_format.columns))


def read_header(path: Path, lines: Lines, file_format: FileFormat) -> Header:
    """Read lines up to the end of the header. Leading blank lines and Excel's `sep=;` are skipped.

    Raises:
        ContractViolation: `missing_header` or `wrong_header`.
    """
    expected = ",".join(file_format.columns)
    text = _first_text(lines)
    if not text:
        raise ContractViolation(
            "missing_header", f"{path}: expected the header {expected} in line 1, found only blank lines."
        )
    candidates = [Header(columns_of(_cells(text, each), file_format), each) for each in DELIMITERS]
    best = max(candidates, key=lambda header: len(set(header.columns) & set(file_format.columns)))
    missing = [column for column in file_format.columns if column not in best.columns]
    if missing:
        best = best if len(missing) < len(file_format.columns) else candidates[0]
        raise ContractViolation("wrong_header", f"{path}: {_describe_mismatch(best, missing, expected)}")
    repeated = [column for column in file_format.columns if best.columns.count(column) > 1]
    if repeated:
        raise ContractViolation(
            "wrong_header",
            f"{path}: duplicate columns: {', '.join(repeated)}. Keep one of each.",
        )
    return best


def columns_of(cells: list[str], file_format: FileFormat) -> tuple[str, ...]:
    """Map header cells to column names, for example `Key result ID` to key_result_id."""
    known = {_gap.sub("_", column): column for column in file_format.columns}
    names = [normalised_name(cell) for cell in cells]
    return tuple(known.get(_gap.sub("_", name.casefold()), name) for name in names)


def _first_text(lines: Lines) -> str:
    """Return the first non-blank line, and the lines that continue it if a cell contains line ends."""
    for line in lines:
        is_blank = not any(normalised_name(cell) for cell in _any_delimiter.split(line))
        if is_blank or _separator_line.fullmatch(line):
            continue
        text, count = line.lstrip("\ufeff"), 1
        while text.count('"') % 2 and count < _MAX_HEADER_LINES and (more := lines.read()) is not None:
            text, count = text + more, count + 1
        return text
    return ""


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


def _describe_mismatch(header: Header, missing: list[str], expected: str) -> str:
    found = ", ".join(header.columns)
    shown = printable(found)[:500]
    surplus = {name.casefold(): name for name in header.columns}
    suggestions = [
        f"{similar[0]!r} looks like {column}"
        for column in missing
        if (similar := difflib.get_close_matches(column, surplus, n=1, cutoff=0.75))
    ]
    hint = f" ({'; '.join(suggestions)})" if suggestions else ""
    known = ", ".join(f"{name}" for name in DELIMITERS.values())
    delimiter_hint = f" Supported delimiters: {known}." if len(header.columns) == 1 else ""
    return f"expected the columns {expected}; found {shown}; missing {', '.join(missing)}{hint}.{delimiter_hint}"
