"""A restore on a server never replaces the files of running services."""

from pathlib import Path

import pytest

from infra.backup import server_units
from infra.backup.server_units import require_stopped_server
from lakehouse.errors import PermanentError

RESTORED = Path("/var/lib/okr/restored")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with the settings of a server, and a `systemctl` that prints the file `units`."""
    (tmp_path / "okr.env").touch()
    monkeypatch.setattr(server_units, "SERVER_SETTINGS", tmp_path / "okr.env")
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/asked\ncat {tmp_path}/units\n', encoding="ascii")
    program.chmod(0o755)
    (tmp_path / "units").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_without_a_folder_of_its_own_a_restore_is_refused_even_if_nothing_runs(server: Path) -> None:
    for while_running in (False, True):
        with pytest.raises(PermanentError, match=r"needs --to <folder>.*restore\.md has the steps for servers"):
            require_stopped_server(None, while_running=while_running)


def test_running_units_are_named_and_only_a_copy_is_restored_beside_them(server: Path) -> None:
    (server / "units").write_text(
        "okr-land@1.service loaded active running landing\nokr-backup.timer loaded active waiting backup\n",
        encoding="ascii",
    )
    with pytest.raises(PermanentError, match=r"okr-land@1\.service, okr-backup\.timer run on this server\. Stop them"):
        require_stopped_server(RESTORED, while_running=False)
    require_stopped_server(RESTORED, while_running=True)
    asked = (server / "asked").read_text(encoding="ascii")
    assert "active" in asked
    assert "okr-*.timer" in asked


def test_with_all_units_stopped_a_restore_into_a_folder_is_allowed(server: Path) -> None:
    require_stopped_server(RESTORED, while_running=False)
    assert "active" in (server / "asked").read_text(encoding="ascii"), "systemd was asked"


def test_if_systemd_does_not_answer_nothing_is_restored(server: Path) -> None:
    (server / "units").unlink()
    with pytest.raises(PermanentError, match="systemd did not say which services run"):
        require_stopped_server(RESTORED, while_running=False)


def test_the_local_stack_has_no_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_units, "SERVER_SETTINGS", tmp_path / "absent")
    require_stopped_server(None, while_running=False)
