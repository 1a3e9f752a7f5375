"""A worker is ready when it says so, not when it has run for some time."""

import os
from pathlib import Path

import pytest

from lakehouse.readiness import READY_FILE, is_ready, report_ready


def test_what_a_process_reports_counts_for_that_process_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ready"
    monkeypatch.setenv(READY_FILE, str(file))
    assert not is_ready(file, os.getpid())
    report_ready()
    assert is_ready(file, os.getpid())
    assert not is_ready(file, os.getpid() + 1)
    assert [each.name for each in tmp_path.iterdir()] == ["ready"]


def test_nothing_is_written_where_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(READY_FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    report_ready()
    assert list(tmp_path.iterdir()) == []
