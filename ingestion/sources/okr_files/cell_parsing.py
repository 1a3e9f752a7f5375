"""Parse CSV cells into values. Each error message says what was expected and what was found."""

import math
import re
from datetime import UTC, date, datetime, time

from lakehouse.contracts.allowed_characters import fault_of_id, fault_of_name, normalised_id, normalised_name
from lakehouse.errors import ContractViolation
from lakehouse.number_format import plain

# float() would also accept underscores, digits of other scripts and "infinity".
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?[\d.' \u00a0\u202f\u2019]*,\d+", re.ASCII)
_MINUS = "\u2212"  # the Unicode minus sign, as written by Apple Numbers and many banks
LARGEST = 1e15  # as in the contracts, for values
LONGEST_ID = 128  # as in the contracts, for ids
_SHOWN = 80


def text_of(cells: dict[str, str], column: str) -> str:
    """Return the text of a cell that must not be empty.

    Raises:
        ContractViolation: `missing_value`.
    """
    text = cells[column]
    if not text:
        raise ContractViolation("missing_value", f"{column} is empty.")
    return text


def id_of(cells: dict[str, str], column: str) -> str:
    """Return a cell as an id, normalised by `lakehouse.contracts.allowed_characters`.

    Raises:
        ContractViolation: `missing_value` or `bad_id`.
    """
    text = normalised_id(text_of(cells, column))
    fault = fault_of_id(text)
    if fault is None and len(text) > LONGEST_ID:
        fault = f"has {len(text)} characters"
    if fault:
        message = f"{column} must be {LONGEST_ID} or fewer visible characters, found {text[:_SHOWN]!r}, which {fault}."
        raise ContractViolation("bad_id", message)
    return text


def name_in(cells: dict[str, str], column: str) -> str:
    """Return a cell as a name, normalised by `lakehouse.contracts.allowed_characters`.

    Raises:
        ContractViolation: `missing_value`, `nul_character` or `bad_name`.
    """
    text = normalised_name(text_of(cells, column))
    fault = fault_of_name(text)
    if fault:
        reason = "nul_character" if "\0" in text else "bad_name"
        raise ContractViolation(reason, f"{column} must be visible characters, found {text[:_SHOWN]!r}, which {fault}.")
    return text


def number_of(cells: dict[str, str], column: str) -> float:
    """Return a cell as a finite number. Digits must be ASCII; an exponent is allowed.

    Raises:
        ContractViolation: `missing_value`, `not_finite`, `bad_number`, `decimal_comma` or `out_of_range`.
    """
    text = text_of(cells, column).replace(_MINUS, "-", 1)
    if _NOT_FINITE.fullmatch(text):
        raise ContractViolation("not_finite", f"{column} must be a finite number, found {text!r}.")
    if _COMMA.fullmatch(text):
        message = (
            f"{column} must be a number such as 12.5, found {text[:_SHOWN]!r}: its comma may be a decimal "
            "comma or a thousands separator. Save numbers with a decimal point and without thousands separators."
        )
        raise ContractViolation("decimal_comma", message)
    if not _NUMBER.fullmatch(text):
        raise ContractViolation("bad_number", f"{column} must be a number such as 12.5, found {text[:_SHOWN]!r}.")
    number = float(text)
    if not math.isfinite(number) or abs(number) > LARGEST:
        raise ContractViolation("out_of_range", f"{column} must be within ±{plain(LARGEST)}, found {text[:_SHOWN]!r}.")
    return number


def ratio_of(cells: dict[str, str], column: str) -> float | None:
    """Return a cell as a number from 0 to 1, or None if it is empty.

    Raises:
        ContractViolation: one of the reasons of `number_of`.
    """
    if not cells[column]:
        return None
    ratio = number_of(cells, column)
    if not 0.0 <= ratio <= 1.0:
        raise ContractViolation("out_of_range", f"{column} must be empty or between 0 and 1, found {plain(ratio)}.")
    return ratio


def date_of(cells: dict[str, str], column: str) -> date:
    """Return a cell as a date.

    Raises:
        ContractViolation: `missing_value` or `bad_date`.
    """
    text = text_of(cells, column)
    try:
        return _parse_date(text)
    except ValueError as error:
        message = f"{column} must be a date such as 2021-03-01, found {text[:_SHOWN]!r}."
        raise ContractViolation("bad_date", message) from error


def time_of(cells: dict[str, str], column: str) -> datetime:
    """Return a cell as a time in UTC. A time without a time zone is taken as UTC.

    Raises:
        ContractViolation: `missing_value` or `bad_date`.
    """
    text = text_of(cells, column)
    try:
        moment = _parse_time(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        message = f"{column} must be a time such as 2021-03-06T13:36:00Z, found {text[:_SHOWN]!r}."
        raise ContractViolation("bad_date", message) from error


def _parse_date(text: str) -> date:
    """Parse a date. A time of midnight is accepted, because spreadsheets and data frames append it to dates."""
    moment = datetime.fromisoformat(text)
    if moment.time() != time() or moment.tzinfo:
        raise ValueError(text)
    return moment.date()


def _parse_time(text: str) -> datetime:
    """Parse a time. Digits beyond microseconds are truncated, because rounding could move the time out of its cycle."""
    text = text[:-1] + "Z" if text.endswith("z") else text  # RFC 3339 allows a lower-case z
    return datetime.fromisoformat(text)
