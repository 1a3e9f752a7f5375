"""Read the records of a CSV file with Python's `csv` in strict mode. Text inside quotes is never read as a record.

A quoted cell may span any number of lines. If quotes are unbalanced, the end of the cell is ambiguous. If the cell is
certain to end on the same line, only that line is rejected. Otherwise all lines are rejected up to the one on which the
quote is certain to be closed, or up to the end of the file (ADR 16).
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from ingestion.sources.okr_files.text_lines import MAX_CHARACTERS, Lines

LONGEST_LINE = 120_000  # characters; longer lines are rejected


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of a record, or the `reason` why it was rejected. `line` and `last_line` are counted from 1."""

    line: int
    last_line: int
    cells: list[str]
    reason: str = ""
    message: str = ""


class Records:
    """Iterates over the records of a file. `width` is the expected number of cells per record."""

    def __init__(self, lines: Lines, delimiter: str, width: int) -> None:
        """Start at the current line of `lines`."""
        # By default, the csv module raises an error in a cell of more than 131,072 characters, even inside a quote.
        # The limit is global to the process, but raising it does not affect other parsers.
        csv.field_size_limit(2 * MAX_CHARACTERS)
        self.width = width
        self._lines = lines
        self._delimiter = delimiter
        self._record_lines: list[str] = []
        self._size = 0

    def __iter__(self) -> Iterator[Record]:
        # In files written by hand, quoted cells may follow a space, as in `, "a, b"`.
        reader = csv.reader(self._feed(), delimiter=self._delimiter, strict=True, skipinitialspace=True)
        while True:
            self._record_lines, self._size = [], 0
            line = self._lines.number + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield self._unparsable(line, str(error))
                continue
            if cells is None:
                if self._record_lines:  # an overlong line, which was not passed to the parser
                    yield self._too_long(line)
                return
            if max(map(len, self._record_lines)) > LONGEST_LINE:
                yield self._too_long(line)
            else:
                yield Record(line, self._lines.number, cells)

    def _feed(self) -> Iterator[str]:
        for line in self._lines:
            # In concatenated files, a byte-order mark may occur at the start of any line, even before a quote.
            text = line if self._record_lines else line.lstrip("\ufeff")
            self._record_lines.append(text)
            self._size += len(text)
            if self._size > MAX_CHARACTERS:
                return  # the record is too long: end the input of the parser
            yield text

    def _too_long(self, line: int) -> Record:
        reason = "file_cut_short" if self._lines.is_too_long else "line_too_long"
        rest = " The rest of the file was not read." if self._lines.is_too_long else ""
        message = f"A line may have at most {LONGEST_LINE} characters.{rest}"
        return Record(line, self._lines.number, [], reason, message)

    def _unparsable(self, line: int, why: str) -> Record:
        first = self._record_lines[0] if self._record_lines else ""
        if len(self._record_lines) == 1 and self._is_local(first):
            message = f"Unbalanced quotes: {why}."
            return Record(line, line, [], "unbalanced_quotes", message)
        if self._size > MAX_CHARACTERS:
            for _ in self._lines:  # count the lines up to the end of the file
                pass
            is_open = True
        else:
            is_open = self._skip_quote()
        end = f"lines {line} to {self._lines.number} were not read" if self._lines.number > line else ""
        where = "is never closed" if is_open else "is not followed by a quote that clearly ends its cell"
        message = f"A quote opened in line {line} {where}{'; ' if end else ''}{end}. Close the quote, or double it."
        return Record(line, self._lines.number, [], "unclosed_quote", message)

    def _skip_quote(self) -> bool:
        """Skip lines until the quote is certain to be closed; return whether the file ended before that.

        A quote at the end of a cell is not sufficient, because in `"A "B"` it may close the cell or belong to its text.
        The number of quotes must also be even.
        """
        text = "".join(self._record_lines)
        quotes = text.count('"')
        is_open = _is_open_after(text, self._delimiter, is_open=False)
        while is_open or quotes % 2:
            line = self._lines.read()
            if line is None:
                return True
            quotes += line.count('"')
            is_open = _is_open_after(line, self._delimiter, is_open=True)
        return False

    def _is_local(self, text: str) -> bool:
        """Return whether a fault is certain to end with its line, however the quotes are interpreted."""
        if text.count('"') % 2:
            return False
        if not _is_open_after(text, self._delimiter, is_open=False):
            return True
        cells = next(csv.reader([text], delimiter=self._delimiter, skipinitialspace=True), [])
        return len(cells) == self.width and text.rfind('"') < text.rfind(self._delimiter)


def _is_open_after(text: str, delimiter: str, *, is_open: bool) -> bool:
    """Return whether a quoted cell is still open after a text. A quote before a delimiter or line end closes it."""
    is_at_cell_start, index = True, 0
    while index < len(text):
        character, following = text[index], text[index + 1 : index + 2]
        if is_open and character == '"':
            if following == '"':
                index += 1
            elif following in {delimiter, "\r", "\n", ""}:
                is_open, is_at_cell_start = False, False
        elif not is_open:
            is_open = is_at_cell_start and character == '"'
            is_at_cell_start = not is_open and (
                character in {delimiter, "\r", "\n"} or (is_at_cell_start and character == " ")
            )
        index += 1
    return is_open
