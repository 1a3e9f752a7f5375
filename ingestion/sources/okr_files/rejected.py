"""The list of rows that could not be used: a CSV in the state folder, counts, and the first few for the screen."""

import csv
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from ingestion.sources.okr_files.format import Rejection
from lakehouse.errors import PermanentError

FILE_NAME = "rejected_rows.csv"
SHOWN = 20


class RejectedRows:
    """Writes each rejection as it comes. The file takes its name only at the end, so it is never half of a list."""

    def __init__(self, state: Path) -> None:
        """Begin the list in the state folder.

        Raises:
            PermanentError: the folder cannot be written.
        """
        self.path = state / FILE_NAME
        self.count: Counter[str] = Counter()
        self.by_reason: Counter[str] = Counter()
        self.first: list[Rejection] = []
        self._unfinished = self.path.with_suffix(".csv.part")
        try:
            state.mkdir(parents=True, exist_ok=True)
            self._file = self._unfinished.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise PermanentError(
                f"The list of rejected rows cannot be written: {self._unfinished}: {error.strerror}. "
                "Point OKR_STATE at a folder that can be written."
            ) from error
        self._writer = csv.writer(self._file)
        self._writer.writerow(("file", "line", "reason", "message"))

    def add(self, rejection: Rejection) -> None:
        """Take a rejection."""
        self.count[rejection.file] += 1
        self.by_reason[rejection.reason] += 1
        if len(self.first) < SHOWN:
            self.first.append(rejection)
        message = rejection.message.encode(errors="replace").decode()
        self._writer.writerow((rejection.file, rejection.line, rejection.reason, message))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if error is None or self.count:
            self._unfinished.replace(self.path)
        else:
            self._unfinished.unlink(missing_ok=True)
