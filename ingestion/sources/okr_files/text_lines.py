"""Read a text file line by line. Its byte-order mark determines the encoding; the default is UTF-8."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from lakehouse.errors import ContractViolation, PermanentError

MAX_CHARACTERS = 16 * 2**20  # characters per line or record; limits the memory that a malformed file can use

# Longer marks come first, because the UTF-32 mark starts with the bytes of the UTF-16 mark.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FORMATS = (
    (b"PK\x03\x04", "an Excel or OpenDocument workbook, or another archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "compressed (gzip)"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
)


class Lines:
    """The physical lines of a file. `number` is the number of the last line that was read, from 1."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            PermanentError: the file cannot be opened.
            ContractViolation: `not_csv` or `not_utf8`, because the file is not readable text.
        """
        self.number = 0
        self.is_too_long = False
        try:
            with path.open("rb") as file:
                head = file.read(512)
            # Bytes that are not UTF-8 become lone surrogates, so that their row can be reported.
            encoding = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), "utf-8-sig")
            errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
            self._text = path.open(encoding=encoding, errors=errors, newline="")
        except OSError as error:
            raise PermanentError(f"{path}: expected a readable CSV file: {error.strerror}.") from error
        try:
            _check_format(path, head, encoding)
        except ContractViolation:
            self.close()
            raise

    def read(self) -> str | None:
        """Return the next line with its line end, or None at the end of the file or after an overlong line."""
        if self.is_too_long:
            return None
        line = self._text.readline(MAX_CHARACTERS + 1)
        self.number += bool(line)
        self.is_too_long = len(line) > MAX_CHARACTERS
        return line or None

    def __iter__(self) -> Iterator[str]:
        while (line := self.read()) is not None:
            yield line

    def close(self) -> None:
        """Close the file."""
        self._text.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def bad_bytes(text: str) -> bytes:
    """Return the bytes of a text that were not valid UTF-8."""
    if text.isascii():
        return b""
    return bytes(ord(character) - 0xDC00 for character in text if "\udc80" <= character <= "\udcff")


def _check_format(path: Path, head: bytes, encoding: str) -> None:
    for magic, name in _OTHER_FORMATS:
        if head.startswith(magic):
            raise ContractViolation("not_csv", f"{path} is {name}. Save the sheet as CSV in UTF-8.")
    if encoding == "utf-8-sig" and head.count(0) > len(head) // 4:
        raise ContractViolation(
            "not_utf8", f"{path} looks like UTF-16 without a byte-order mark. Save it as CSV in UTF-8."
        )
