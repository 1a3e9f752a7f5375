"""Write the forecasts of a backtest as CSV, and read forecasts from CSV to compare them with the champion."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, TextIO

from lakehouse.atomic_replace import replace_file
from lakehouse.errors import PermanentError
from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

HEADER = ("key_result_id", "as_of", "probability", "low", "high")
REQUIRED_COLUMNS = HEADER[:3]
Line = tuple[str, str, float, float, float]


def write_forecasts(lines: Iterator[Line], out: Path) -> int:
    """Write forecasts as CSV and return their number. The file is created only once it is complete.

    Raises:
        PermanentError: the folder of `out` does not exist or cannot be written.
    """
    text = StringIO()
    try:
        with TemporaryFile(dir=out.parent):  # fail before computing any forecast if the folder is not writable
            pass
        rows = _write_lines(lines, text)
        replace_file(out, text.getvalue())
    except OSError as error:
        reason = error.strerror or error
        raise PermanentError(
            f"{out} cannot be written: {reason}. Choose a file in a folder that you can write to."
        ) from error
    return rows


def read_probabilities(file: Path, rows: Rows) -> "NDArray[float64]":
    """Read a forecast file and return the probability for each row.

    Raises:
        PermanentError: the file cannot be read, lacks a forecast for a row, or contains a probability outside 0 to 1.
    """
    import numpy as np

    forecasts = _read(file)
    check_ins = [
        (key_result_id, _format_time(as_of))
        for key_result_id, as_of in zip(rows["key_result"], rows["as_of"], strict=True)
    ]
    missing = [check_in for check_in in check_ins if check_in not in forecasts]
    if missing:
        key_result_id, as_of = missing[0]
        raise PermanentError(
            f"{file} lacks {len(missing)} of the {len(check_ins)} check-ins of the held-out cycle, such as key result "
            f"{key_result_id!r} at {as_of}. `okr forecast backtest` lists the check-ins of past cycles."
        )
    probabilities = np.array([forecasts[check_in] for check_in in check_ins], dtype=np.float64)
    if not ((probabilities >= 0.0) & (probabilities <= 1.0)).all():
        raise PermanentError(f"{file} has a probability that is not between 0 and 1.")
    return probabilities


def line_of(key_result_id: str, as_of: datetime, probability: float, low: float, high: float) -> Line:
    """Convert a forecast to a line of the CSV file."""
    return key_result_id, _format_time(as_of), float(probability), float(low), float(high)


def _write_lines(lines: Iterator[Line], file: TextIO) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    rows = 0
    for line in lines:
        writer.writerow(line)
        rows += 1
    return rows


def _read(path: Path) -> dict[tuple[str, str], float]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {
                (line["key_result_id"], _format_time(datetime.fromisoformat(line["as_of"]))): float(line["probability"])
                for line in csv.DictReader(file, strict=True)
            }
    except FileNotFoundError as error:
        raise PermanentError(
            f"{path} does not exist. Expected CSV with the columns {', '.join(REQUIRED_COLUMNS)}."
        ) from error
    except (OSError, ValueError, TypeError, csv.Error, KeyError) as error:
        raise PermanentError(
            f"{path} cannot be read ({error}). Expected CSV with the columns {', '.join(REQUIRED_COLUMNS)}."
        ) from error


def _format_time(at: datetime) -> str:
    """Format a time in UTC, such as 2021-03-06T13:36:00Z. Microseconds are omitted if they are zero."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
