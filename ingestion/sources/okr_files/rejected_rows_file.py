"""List rejected rows: all of them in a CSV file in the state folder, and grouped by kind of fault on the terminal.

On the terminal, rejections are grouped by file, reason and message (without the values of the row). The rarest kinds
are shown first, so that hundreds of rows with a trivial fault do not hide a serious one.
"""

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ingestion.sources.okr_files.csv_format import Rejection
from lakehouse.errors import PermanentError

FILE_NAME = "rejected_rows.csv"
SHOWN = 20  # rejections in the JSON report
EXAMPLES = 3  # of each kind of fault
KINDS = 25  # maximum number shown; more kinds suggest a problem with the whole file
_row_values = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[-+\d.:TZ]*\d[-+\d.:TZe]*""")


@dataclass
class FaultKind:
    """Rejections in one file that differ only in the values of the row."""

    file: str
    reason: str
    count: int = 0
    messages: dict[str, list[int]] = field(default_factory=dict)

    def add(self, rejection: Rejection) -> None:
        """Count a rejection; keep the first few distinct messages with their lines."""
        self.count += 1
        if len(self.messages) < EXAMPLES or rejection.message in self.messages:
            lines = self.messages.setdefault(rejection.message, [])
            lines.append(rejection.line)

    def as_lines(self) -> list[str]:
        """Format the kind as text: the number of rows, and examples."""
        lines = [f"  {self.file}: {self.reason}: {self.count} row{'s' if self.count > 1 else ''}"]
        listed = 0
        for message, line_numbers in self.messages.items():
            more = f" (and {len(line_numbers) - 1} more such lines)" if len(line_numbers) > 1 else ""
            lines.append(f"    line {line_numbers[0]}{more}: {message}")
            listed += len(line_numbers)
        if listed < self.count:
            lines.append(f"    and {self.count - listed} more")
        return lines


class RejectedRows:
    """Writes rejections as they occur. The file gets its final name only after the last rejection has been written."""

    def __init__(self, state: Path) -> None:
        """Open the file in the state folder.

        Raises:
            PermanentError: the folder is not writable.
        """
        self.path = state / FILE_NAME
        self.count: Counter[str] = Counter()
        self.by_reason: Counter[str] = Counter()
        self.first: list[Rejection] = []
        self._kinds: dict[tuple[str, str, str], FaultKind] = {}
        self._unfinished = self.path.with_suffix(".csv.part")
        try:
            state.mkdir(parents=True, exist_ok=True)
            self._file = self._unfinished.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise PermanentError(
                f"The list of rejected rows cannot be written: {self._unfinished}: {error.strerror}. "
                "Set OKR_STATE to a writable folder."
            ) from error
        self._writer = csv.writer(self._file)
        self._writer.writerow(("file", "line", "reason", "message"))

    def add(self, rejection: Rejection) -> None:
        """Count and write a rejection."""
        self.count[rejection.file] += 1
        self.by_reason[rejection.reason] += 1
        if len(self.first) < SHOWN:
            self.first.append(rejection)
        shape = _row_values.sub("", rejection.message)
        self._kinds.setdefault(
            (rejection.file, rejection.reason, shape), FaultKind(rejection.file, rejection.reason)
        ).add(rejection)
        message = rejection.message.encode(errors="replace").decode()
        self._writer.writerow((rejection.file, rejection.line, rejection.reason, message))

    def kinds(self) -> list[FaultKind]:
        """Return the kinds of faults, rarest first."""
        return sorted(self._kinds.values(), key=lambda kind: kind.count)

    def as_lines(self) -> list[str]:
        """Format each kind of fault with its count and examples."""
        kinds = self.kinds()
        lines = [line for kind in kinds[:KINDS] for line in kind.as_lines()]
        if len(kinds) > KINDS:
            rows = sum(kind.count for kind in kinds[KINDS:])
            lines.append(f"  and {rows} rows with {len(kinds) - KINDS} other kinds of faults")
        return lines

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is None or self.count:
            self._unfinished.replace(self.path)
        else:
            self._unfinished.unlink(missing_ok=True)
