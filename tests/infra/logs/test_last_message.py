"""`okr up` quotes the last line of a service that cannot start, as text."""

from pathlib import Path

import pytest

from infra.logs.files import last_message

LINE = '{"time":"2026-11-29T12:00:00Z","level":"FATAL","module":"m","event":"cannot start"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no output"),
        ("started\nlast words\n", "last words"),
        (LINE + "}\n", "cannot start"),
        (LINE + ',"error":"no port"}\n', "cannot start: no port"),
        (LINE + ',"exception":"Traceback\\n  File\\nValueError: a"}\n', "cannot start: ValueError: a"),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'b'\n", "a traceback: KeyError: 'b'"),
    ],
)
def test_the_last_line_is_shown_as_text(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "land.log"
    path.write_text(text, encoding="utf-8")
    assert last_message(path, "land") == expected
    assert last_message(tmp_path / "missing", "land") == "no output"
