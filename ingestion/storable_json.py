"""Check that PostgreSQL can store a JSON document as jsonb, with numbers that fit into float8.

A contract covers only known fields. This module checks the whole message, including unknown fields. PostgreSQL cannot
store NUL or lone surrogates in text, numbers outside the range of float8 (too large, or so small that they become
zero), or nesting deeper than its stack allows. A single such row would fail the load of a whole batch.
"""

import json
import re
from collections.abc import Mapping, Sequence

from lakehouse.errors import ContractViolation

MAX_DEPTH = 64
# Patterns that are cheap to find and show that the full check is needed: an escape that may be NUL or a lone surrogate,
# an exponent of three or more digits, or 200 digits in a row (200 digits and e99 still fit into float8). The exponent
# must belong to a number that starts after a delimiter, because half of all UUIDs contain something like 0e12. A match
# inside a text is harmless, because it only causes the full check.
ESCAPE = r"\\u(0000|[dD][89a-fA-F])"
NUMBER = r"[:,\[\s]-?[0-9.]+[eE][+-]?0*[1-9][0-9]{2}|[0-9.]{200}"
# PLAIN_DATA is the inverse, for checking a whole column. It matches a valid JSON object, as bytes, that certainly needs
# no full check. The texts of such an object contain no NUL and no lone surrogate. Its numbers have at most 40 digits
# and an exponent of at most two digits. (A number is matched with its delimiter; otherwise a longer number would match
# as two numbers.) The object is at most three levels deep. Texts are matched as a whole and braces in pairs, so that
# `ingestion.decoding.batch_validation` can find the end of an object. No text starts or ends with a space or contains
# U+007F, because `lakehouse.contracts.allowed_characters` forbids this in ids. A separate pattern for the ids would
# cost more than the full check of the few texts with such characters. `ingestion.decoding.event_types` checks non-ASCII
# ids.
_ESCAPED = (
    r'\\(?:["\\/bfnrt]|u(?:00(?:0[1-9a-fA-F]|[1-9a-fA-F][0-9a-fA-F])|0[1-9a-fA-F][0-9a-fA-F]{2}'
    r"|[1-9a-cA-CeEfF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}))"
)
_NON_SPACE = r"[!#-\[\]-~\x80-\xff]"
_END = f"(?:{_NON_SPACE}|{_ESCAPED})"
_TEXT = rf'"(?:{_END}(?:(?:[^"\\\x7f]|{_ESCAPED})*{_END})?)?"'
_NUMBER = r"-?[0-9.]{1,40}(?:[eE][+-]?[0-9]{1,2})?"
_FLAT = rf"{_TEXT}|[:,\s](?:{_NUMBER})?|true|false|null"
_OPEN = rf"(?:{{|\[(?:{_NUMBER})?)"
_NESTED = rf"{_OPEN}(?:{_FLAT})*[\]}}]"
PLAIN_DATA = rf"\{{(?:{_FLAT}|{_OPEN}(?:{_FLAT}|{_NESTED})*[\]}}])*\}}"
_suspect = re.compile(f"{ESCAPE}|{NUMBER}".encode())
_surrogate = re.compile("[\ud800-\udfff]")


def is_suspect(value: bytes) -> bool:
    """Return whether a message must be checked by `check_storable`."""
    return may_be_deep(value) or _suspect.search(value) is not None


def may_be_deep(value: bytes) -> bool:
    """Return whether a message has more opening brackets than the allowed number of levels."""
    return value.count(b"[") + value.count(b"{") > MAX_DEPTH


def check_storable(value: bytes) -> None:
    """Check a whole JSON document, given as UTF-8.

    Raises:
        ContractViolation: with one of the reasons `nul_character`, `lone_surrogate`, `number_out_of_range`,
            `too_deep`, `not_json`.
    """
    try:
        document = json.loads(value, parse_float=_check_number, parse_int=_check_number)
    except RecursionError as error:
        raise ContractViolation("too_deep", f"JSON is nested deeper than {MAX_DEPTH} levels.") from error
    except ValueError as error:
        raise ContractViolation("not_json", f"Expected JSON: {error}.") from error
    _walk(document, depth=0)


def _check_number(literal: str) -> float:
    try:
        number = float(literal)
    except ValueError as error:  # pragma: no cover - json has matched a number
        raise ContractViolation("number_out_of_range", f"Not a number: {literal[:40]}.") from error
    mantissa = re.split("[eE]", literal)[0]
    is_underflow = number == 0.0 and any(digit in "123456789" for digit in mantissa)
    if is_underflow or number in (float("inf"), float("-inf")) or len(literal) > 1000:
        raise ContractViolation("number_out_of_range", f"Expected a number that float8 can hold, got {literal[:40]}.")
    return number


def _walk(node: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ContractViolation("too_deep", f"JSON is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(node, str):
        _check_text(node)
    elif isinstance(node, Mapping):
        for key, value in node.items():
            _check_text(key)
            _walk(value, depth + 1)
    elif isinstance(node, Sequence):
        for value in node:
            _walk(value, depth + 1)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise ContractViolation("nul_character", "Text contains the character U+0000, which PostgreSQL cannot store.")
    if _surrogate.search(text):
        raise ContractViolation("lone_surrogate", "Text contains a lone surrogate, which is not a character.")
