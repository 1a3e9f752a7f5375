"""Cells to values. Each refusal says what was expected and what stands there."""

import math
import re
from datetime import UTC, date, datetime

from lakehouse.errors import ContractViolation

# float() would also take underscores, digits of other scripts and "infinity".
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
LARGEST = 1e15  # as in the contract of a value
LONGEST_ID = 128  # as in the contract of an id
_SHOWN = 80


def text_of(cells: dict[str, str], column: str) -> str:
    """Return a cell that must not be empty.

    Raises:
        ContractViolation: `missing_value`.
    """
    text = cells[column]
    if not text:
        raise ContractViolation("missing_value", f"{column} is empty.")
    return text


def id_of(cells: dict[str, str], column: str) -> str:
    """Return a cell that names something.

    Raises:
        ContractViolation: `missing_value` or `bad_id`.
    """
    text = text_of(cells, column)
    if len(text) > LONGEST_ID or _CONTROL.search(text):
        message = f"{column} must be {LONGEST_ID} or fewer characters and no control ones, found {text[:_SHOWN]!r}."
        raise ContractViolation("bad_id", message)
    return text


def number_of(cells: dict[str, str], column: str) -> float:
    """Return a cell as a finite number of plain decimal digits.

    Raises:
        ContractViolation: `missing_value`, `not_finite`, `bad_number` or `out_of_range`.
    """
    text = text_of(cells, column)
    if _NOT_FINITE.fullmatch(text):
        raise ContractViolation("not_finite", f"{column} must be a finite number, found {text!r}.")
    if not _NUMBER.fullmatch(text):
        raise ContractViolation("bad_number", f"{column} must be a number such as 12.5, found {text[:_SHOWN]!r}.")
    number = float(text)
    if not math.isfinite(number) or abs(number) > LARGEST:
        raise ContractViolation("out_of_range", f"{column} must lie within ±{LARGEST:g}, found {text[:_SHOWN]!r}.")
    return number


def ratio_of(cells: dict[str, str], column: str) -> float | None:
    """Return a cell as a number from 0 to 1, or None where it is empty.

    Raises:
        ContractViolation: as `number_of`.
    """
    if not cells[column]:
        return None
    ratio = number_of(cells, column)
    if not 0.0 <= ratio <= 1.0:
        raise ContractViolation("out_of_range", f"{column} must be empty or lie between 0 and 1, found {ratio:g}.")
    return ratio


def date_of(cells: dict[str, str], column: str) -> date:
    """Return a cell as a date.

    Raises:
        ContractViolation: `missing_value` or `bad_date`.
    """
    text = text_of(cells, column)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        message = f"{column} must be a date such as 2021-03-01, found {text[:_SHOWN]!r}."
        raise ContractViolation("bad_date", message) from error


def moment_of(cells: dict[str, str], column: str) -> datetime:
    """Return a cell as a moment in UTC; one without a zone is UTC, as the format says.

    Raises:
        ContractViolation: `missing_value` or `bad_date`.
    """
    text = text_of(cells, column)
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        message = f"{column} must be a time such as 2021-03-06T13:36:00Z, found {text[:_SHOWN]!r}."
        raise ContractViolation("bad_date", message) from error
