"""Records of a CSV file, by Python's `csv` in strict mode. The inside of a quote is never read as a record.

A quote that is closed later is one cell, however many lines it has. Where a quote is not balanced, nobody can tell for
sure where its cell ends: a fault that is surely closed within its line costs that line; any other costs every line up
to where it surely is, or the rest of the file.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from ingestion.sources.okr_files.text_lines import LONGEST, Lines

LONGEST_LINE = 120_000  # characters of a line that is used


@dataclass(frozen=True, slots=True)
class Record:
    """Cells of one record, or with a `reason` why it has none. `line` to `last_line` are its lines, from 1."""

    line: int
    last_line: int
    cells: list[str]
    reason: str = ""
    message: str = ""


class Records:
    """Iterate to get each record; `width` is how many cells one should have."""

    def __init__(self, lines: Lines, delimiter: str, width: int) -> None:
        """Read on from where the lines stand."""
        # The module's own limit of a cell is 131,072 characters: a longer one would be an error in the midst of a
        # quote. The limit is the process's; nobody else's parser minds a wider one.
        csv.field_size_limit(2 * LONGEST)
        self.width = width
        self._lines = lines
        self._delimiter = delimiter
        self._taken: list[str] = []
        self._size = 0

    def __iter__(self) -> Iterator[Record]:
        # A spreadsheet's users write `, "a, b"`: a quote after spaces opens a cell, too.
        reader = csv.reader(self._feed(), delimiter=self._delimiter, strict=True, skipinitialspace=True)
        while True:
            self._taken, self._size = [], 0
            line = self._lines.number + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield self._broken(line, str(error))
                continue
            if cells is None:
                if self._taken:  # a line that never ends was not given to the parser
                    yield self._too_long(line)
                return
            if max(map(len, self._taken)) > LONGEST_LINE:
                yield self._too_long(line)
            else:
                yield Record(line, self._lines.number, cells)

    def _feed(self) -> Iterator[str]:
        for line in self._lines:
            # A file that was put behind another brings its byte-order mark, before a quote perhaps.
            text = line if self._taken else line.lstrip("\ufeff")
            self._taken.append(text)
            self._size += len(text)
            if self._size > LONGEST:
                return  # the cell that is open is no cell: the end of the data, for the parser
            yield text

    def _too_long(self, line: int) -> Record:
        reason = "file_cut_short" if self._lines.is_too_long else "line_too_long"
        rest = " Nothing after it is read." if self._lines.is_too_long else ""
        message = f"A line may have at most {LONGEST_LINE} characters.{rest}"
        return Record(line, self._lines.number, [], reason, message)

    def _broken(self, line: int, why: str) -> Record:
        first = self._taken[0] if self._taken else ""
        if len(self._taken) == 1 and self._is_local(first):
            message = f"A quote is opened and not closed where it should be: {why}."
            return Record(line, line, [], "unbalanced_quotes", message)
        if self._size > LONGEST:
            for _ in self._lines:  # to the end, only to know how many lines that are
                pass
            is_open = True
        else:
            is_open = self._skip_quote()
        end = f"nothing of lines {line} to {self._lines.number} is read" if self._lines.number > line else ""
        where = "is never closed" if is_open else "is closed by no quote that ends its cell at once"
        message = f"A quote is opened in line {line} and {where}{': ' if end else ''}{end}. Close it, or double it."
        return Record(line, self._lines.number, [], "unclosed_quote", message)

    def _skip_quote(self) -> bool:
        """Read on to where the quote is surely closed; say whether the file ended before.

        It is where the quotes up to there are even in number, too: `"A "B"` and a line's end may close, or be text.
        """
        text = "".join(self._taken)
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
        """Say whether a line's fault surely ends with the line: each way to go on after the wrong quote says so."""
        if text.count('"') % 2:
            return False
        if not _is_open_after(text, self._delimiter, is_open=False):
            return True
        cells = next(csv.reader([text], delimiter=self._delimiter, skipinitialspace=True), [])
        return len(cells) == self.width and text.rfind('"') < text.rfind(self._delimiter)


def _is_open_after(text: str, delimiter: str, *, is_open: bool) -> bool:
    """Say whether a quote is open after a text, if only one before a delimiter or a line's end closes its cell."""
    begins_cell, place = True, 0
    while place < len(text):
        character, following = text[place], text[place + 1 : place + 2]
        if is_open and character == '"':
            if following == '"':
                place += 1
            elif following in {delimiter, "\r", "\n", ""}:
                is_open, begins_cell = False, False
        elif not is_open:
            is_open = begins_cell and character == '"'
            begins_cell = not is_open and (character in {delimiter, "\r", "\n"} or (begins_cell and character == " "))
        place += 1
    return is_open
