"""The audit names the secrets that a service would miss at its next start, and only those."""

import shutil
from pathlib import Path

import pytest

from infra.audit import lost_secrets, secret_strength
from infra.audit.installation import Installation
from infra.local.executables import ROOT
from lakehouse.kafka_connection import SecurityProtocol
from lakehouse.settings import Settings

KEYS = "okr_field_encryption_key"
SETTINGS = Settings.model_validate({"kafka_security_protocol": SecurityProtocol.SASL_SSL})


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of secrets of a server that runs the state consumer, with all that its unit loads."""
    units, folder = tmp_path / "units", tmp_path / "secrets"
    shutil.copytree(ROOT / "infra" / "server" / "systemd", units)
    (units / "okr.target.wants").mkdir()
    (units / "okr.target.wants" / "okr-state.service").symlink_to(units / "okr-state.service")
    folder.mkdir()
    for name in (KEYS, "okr_dsn_loader", "okr_redis_state_url", "okr_kafka_password_state"):
        (folder / name).write_text("0" * 44 + "\n", encoding="ascii")
    monkeypatch.setattr(lost_secrets, "UNITS", units)
    monkeypatch.setattr(lost_secrets, "SECRETS", folder)
    return folder


def lost(settings: Settings = SETTINGS) -> list[tuple[str, str]]:
    return [(Path(each.subject).name, each.found) for each in lost_secrets.findings(settings)]


def test_a_complete_host_has_no_finding(secrets: Path) -> None:
    assert secrets.is_dir()
    assert lost() == []


def test_a_missing_and_an_empty_file_are_found(secrets: Path) -> None:
    (secrets / KEYS).unlink()
    (secrets / "okr_dsn_loader").write_text("\n", encoding="ascii")
    assert sorted(lost()) == [("okr_dsn_loader", "an empty file"), (KEYS, "no file")]


def test_a_password_of_kafka_is_needed_only_if_kafka_has_logins(secrets: Path) -> None:
    (secrets / "okr_kafka_password_state").unlink()
    assert lost() == [("okr_kafka_password_state", "no file")]
    assert lost(Settings.model_validate({"kafka_security_protocol": SecurityProtocol.PLAINTEXT})) == []


def test_the_check_reports_it_also_if_no_secret_is_left(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(secrets)
    monkeypatch.setattr(secret_strength, "_secrets", lambda _: iter(()))
    found = [*secret_strength.check(Installation(SETTINGS))]
    assert len(found) == 4
    assert {each.found for each in found} == {"no file"}
