"""Remove secrets and personal data from log lines: the last line of defence, after code that does not log them.

It knows the values of this process's own secrets, the forms in which libraries repeat connection strings, tokens and
rows in their messages, and e-mail addresses. It cannot recognise a name.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lakehouse.environment import CREDENTIALS, OWN_PREFIX

MASK = "***"
MIN_SECRET_LENGTH = 8  # a shorter secret would also match parts of ordinary words
_NAMES = "password|passwd|pwd|secret|token|api[_-]?key|private[_-]?key|authorization|cookie|credentials?"
SECRET_FIELD = re.compile(rf"(?:^|[_-])(?:{_NAMES})$", re.IGNORECASE)
# Patterns with what replaces them. libpq repeats a malformed connection string completely in its error.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    # user:password@ after any number of slashes; up to the last @, because a password may contain one
    (re.compile(r"(\w[\w+.-]*:/+[^:/?#\s\"'@]*):[^\s\"'/]*@"), rf"\1:{MASK}@"),
    (re.compile(r"(\w[\w+.-]*:/+)([^:/?#\s\"'@]*):[^\s\"']*@"), rf"\1\2:{MASK}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (
        re.compile(rf"(\b[\w-]*(?:{_NAMES})[\"']?\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s,;&)\]}}]+)", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), MASK),
    # Rows and values that libraries repeat: PostgreSQL, SQLAlchemy, pydantic
    (re.compile(r"\b(DETAIL|CONTEXT|QUERY|STATEMENT):[^\n]*"), rf"\1: {MASK}"),
    (re.compile(r"\[parameters: [^\n]*"), f"[parameters: {MASK}]"),
    (re.compile(r"input_value=.*?(?=, input_type=|\]|\n|\Z)"), f"input_value={MASK}"),
    (re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+"), f"{MASK}@{MASK}"),
)
# A line without any of these contains none of the patterns. It is much faster to look for them than to match.
_SIGNS = (
    b"@", b"passw", b"pwd", b"secret", b"token", b"api_key", b"api-key",
    b"apikey", b"private", b"authorization", b"cookie", b"credential", b"bearer",
    b"basic ", b"eyj", b"detail:", b"context:", b"query:", b"statement:", b"[parameters", b"input_value=",
)  # fmt: skip
_FORMS = re.compile(r"DSN|PASSWORD|SECRET|TOKEN|_KEY|STORE_URI$|REDIS\w*_URL")  # names of variables with secrets


class Redactor:
    """Removes secrets and personal data from text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Keep the secrets that are long enough to be found in text; an empty one would match everywhere."""
        known = sorted({each for each in secrets if len(each) >= MIN_SECRET_LENGTH}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        # In a rendered line, quotes and backslashes of a secret are escaped, so only its longest plain part is looked
        # for.
        parts = (max(re.split(r"[^ !#-\[\]-~]", each), key=len) for each in known)
        self._signs = (*_SIGNS, *{part.lower().encode() for part in parts if len(part) > 2})
        self._is_always_suspicious = any(len(max(re.split(r"[^ !#-\[\]-~]", each), key=len)) <= 2 for each in known)

    def is_suspicious(self, line: bytes) -> bool:
        """Return whether a rendered line may contain something to remove."""
        lower = line.lower()
        return self._is_always_suspicious or any(sign in lower for sign in self._signs)

    def text(self, text: str) -> str:
        """Return text without secrets and personal data."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record in which every text, and every field with the name of a secret, is redacted."""
        return {
            str(name): MASK if value and SECRET_FIELD.search(str(name)) and _is_text(value) else self._value(value)
            for name, value in record.items()
        }

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return self.record(value)
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._value(each) for each in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return self.text(safe_text(value))


def own_secrets() -> Iterator[str]:
    """Return the secrets of this process: variables, the files that they name, and systemd's credentials.

    A connection string is not one secret, because it also has a host and a database: its password is.
    """
    for name, value in os.environ.items():
        if name.startswith(OWN_PREFIX) and _FORMS.search(name):
            yield from _parts(_read(Path(value)) if name.endswith("_FILE") else value)
    folder = os.environ.get(CREDENTIALS)
    for file in Path(folder).glob("okr_*") if folder else ():
        yield from _parts(_read(file))


def safe_text(value: Any) -> str:
    """Return a value as text, also if its own method fails: logging must not raise."""
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose text failed: {type(error).__name__}>"


def _parts(secret: str) -> Iterator[str]:
    for line in filter(None, secret.splitlines()):
        try:
            password = urlsplit(line).password if "://" in line else None
        except ValueError:
            password = None
        if password:
            yield from (password, unquote(password))
        elif "://" not in line and not line.startswith("/"):  # not the path of a key file
            yield line


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # `load_settings` reports it
        return ""


def _is_text(value: Any) -> bool:
    return not isinstance(value, (bool, int, float))
