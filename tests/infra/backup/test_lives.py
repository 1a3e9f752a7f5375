"""When a life of a PostgreSQL cluster begins, whose log files are never mixed with those of another one."""

import json
from pathlib import Path

import pytest

from infra.backup import postgres
from infra.backup.metrics import Metrics
from infra.backup.postgres import Server
from infra.backup.run import LIFE, Backup, exclusive
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.settings import Settings

SERVER = Server(18, "7000000000000000001", 2)


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    """A run on a host that has backed up this cluster."""
    settings = Settings(
        state=tmp_path, dsn_backup="host=x", backup_repository="/r", backup_password="p" * 16, metrics_dir=tmp_path
    )
    found = Backup(settings, frozenset({"wal", "lake"}), print, Metrics.of(settings))
    found.places.wal.mkdir(parents=True)
    identity = {"system_id": SERVER.system_id, "timeline": SERVER.timeline}
    (found.places.work / LIFE).write_text(json.dumps({**identity, "life": "first"}), encoding="utf-8")
    return found


@pytest.mark.parametrize(("server", "has_slot", "is_new"), [
    (SERVER, True, False),
    (SERVER, False, True),  # restored for the second time from the same point, or the log was lost
    (Server(18, SERVER.system_id, 3), True, True),
    (Server(18, "7000000000000000002", 2), True, True),
])  # fmt: skip
def test_a_cluster_without_its_slot_or_with_another_identity_begins_a_life(
    backup: Backup, monkeypatch: pytest.MonkeyPatch, server: Server, has_slot: bool, is_new: bool
) -> None:
    monkeypatch.setattr(postgres, "has_slot", lambda _: has_slot)
    assert backup._life(server) == ("" if is_new else "first")


def test_a_new_life_has_no_segments_of_another_one(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    created = []
    monkeypatch.setattr(postgres, "create_slot", created.append)
    (backup.places.wal / ("0" * 24)).touch()
    life = backup._begin(SERVER)
    assert postgres.segments(backup.places.wal) == []
    assert created == ["host=x"]
    assert json.loads((backup.places.work / LIFE).read_text(encoding="utf-8"))["life"] == life
    assert life != "first"


def test_no_log_is_received_on_an_almost_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the repository is full, the log would grow on the disk of the lake until landing stops."""
    monkeypatch.setattr(postgres, "LEAST_FREE", 1.1)
    with pytest.raises(RetryableError, match="must stay free, so no write-ahead log was received"):
        postgres.receive_wal("host=x", SERVER, tmp_path / "wal", tmp_path)


def test_a_check_does_not_stop_backups_and_a_second_backup_waits_only_if_asked(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path),
        exclusive(tmp_path, name="check.lock"),
        pytest.raises(PermanentError, match="--wait <minutes>"),
        exclusive(tmp_path),
    ):
        pass
    with exclusive(tmp_path, wait_minutes=1):
        pass
