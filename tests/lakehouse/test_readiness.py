"""A worker is ready when it reports so, not after some running time."""

import os
from pathlib import Path

import pytest

from lakehouse.readiness import READY_FILE, is_ready, report_ready


def test_a_readiness_report_counts_only_for_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ready"
    monkeypatch.setenv(READY_FILE, str(file))
    assert not is_ready(file, os.getpid())
    report_ready()
    assert is_ready(file, os.getpid())
    assert not is_ready(file, os.getpid() + 1)
    assert [each.name for each in tmp_path.iterdir()] == ["ready"]


def test_nothing_is_written_if_no_supervisor_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(READY_FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    report_ready()
    assert list(tmp_path.iterdir()) == []
