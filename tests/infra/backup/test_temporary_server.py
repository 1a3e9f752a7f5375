"""A restored PostgreSQL that refuses connections is named at once; one that still recovers is waited for."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.backup import temporary_server
from lakehouse.errors import PermanentError


class Running:
    """A server that does not end."""

    def poll(self) -> None:
        return None


def test_a_locale_that_this_host_lacks_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        "connection failed: FATAL:  the database system is starting up",
        "connection failed: FATAL:  the database system is not accepting connections\nDETAIL: Hot standby is disabled.",
        "connection failed: FATAL:  database locale is incompatible with operating system",
    ]

    def connect(*_: Any, **__: Any) -> None:
        raise psycopg.OperationalError(answers.pop(0))

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(temporary_server, "POLL_SECONDS", 0)
    server: Any = Running()
    with pytest.raises(PermanentError, match=r"locale is incompatible.*dpkg-reconfigure locales"):
        temporary_server._wait_until_ready(server, "host=x", tmp_path / "log")
    assert not answers
