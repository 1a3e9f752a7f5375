"""A worker is ready when it reports so, not after some running time."""

import os
import socket
from pathlib import Path

import pytest

from lakehouse.readiness import NOTIFY_SOCKET, READY_FILE, is_ready, report_alive, report_ready


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


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_is_told_when_a_unit_is_ready_and_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_abstract: bool
) -> None:
    address = f"\0okr-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(5)
        monkeypatch.setenv(NOTIFY_SOCKET, address.replace("\0", "@"))
        monkeypatch.delenv(READY_FILE, raising=False)
        report_ready()
        assert systemd.recv(100) == b"READY=1"
        report_alive()
        assert systemd.recv(100) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"\0okr-test-{os.getpid()}-none"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.setblocking(False)
        monkeypatch.delenv(NOTIFY_SOCKET, raising=False)
        monkeypatch.delenv(READY_FILE, raising=False)
        report_ready()
        report_alive()
        with pytest.raises(BlockingIOError):
            systemd.recv(100)


def test_the_age_of_the_file_shows_whether_a_process_makes_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ready"
    monkeypatch.setenv(READY_FILE, str(file))
    report_alive()
    assert not file.exists()  # it is not ready yet
    report_ready()
    os.utime(file, (0, 0))
    report_alive()
    assert file.stat().st_mtime > 0
    assert is_ready(file, os.getpid())
