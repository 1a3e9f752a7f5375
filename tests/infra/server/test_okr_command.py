"""Which settings, secrets and user a command on a server has."""

from pathlib import Path

import pytest

from infra.server.okr_command import folders_of, secrets_of, variables


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "okr.env").write_text("# Settings.\nOKR_LAKE_URI=s3://lake\nOKR_X=a=b\n\n", encoding="ascii")
    for user in ("operator", "admin"):
        (tmp_path / f"secrets/okr_kafka_password_{user}").write_text(f"of {user}\n", encoding="ascii")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        ("lake verify", "land"), ("load", "land"), ("produce files .", "operator"),
        ("keys status", "operator"), ("installation audit", ""), ("", "operator"),
    ],
)  # fmt: skip
def test_a_command_has_the_state_folder_of_the_service_whose_files_it_uses(command: str, folder: str) -> None:
    assert folders_of(command.split(), Path("/state"), {}) == [Path("/state", folder)]


def test_spools_of_all_services_and_of_imports_are_shown_and_drained(tmp_path: Path) -> None:
    for folder in ("api/spool", "operator/spool", "land"):
        (tmp_path / folder).mkdir(parents=True)
    command = ["produce", "spool", "drain"]
    assert folders_of(command, tmp_path, {}) == [tmp_path / "api", tmp_path / "operator"]
    assert folders_of(command, tmp_path, {"OKR_STATE": "/other"}) == [Path("/other")]


def test_settings_are_those_of_the_host_and_the_caller_overrides_them(config: Path) -> None:
    found = variables(["lake"], {"OKR_X": "mine", "LANG": "C"}, config)
    assert found == {
        "OKR_LAKE_URI": "s3://lake", "OKR_X": "mine", "LANG": "C", "OKR_SETTINGS": "environment",
        "OKR_KAFKA_USER": "okr-operator", "OKR_KAFKA_PASSWORD": "of operator",
    }  # fmt: skip


def test_only_administration_of_kafka_uses_its_superuser(config: Path) -> None:
    assert variables(["kafka", "topics"], {}, config)["OKR_KAFKA_PASSWORD"] == "of admin"
    assert variables(["installation", "audit"], {}, config)["OKR_KAFKA_USER"] == "okr-admin"


def test_a_host_without_the_password_or_a_caller_with_another_user_keeps_their_settings(config: Path) -> None:
    assert "OKR_KAFKA_PASSWORD" not in variables(["lake"], {"OKR_KAFKA_USER": "okr-state"}, config)
    (config / "secrets/okr_kafka_password_operator").unlink()
    assert "OKR_KAFKA_USER" not in variables(["lake"], {}, config)


def test_backups_and_restores_have_the_credentials_of_their_repository(config: Path) -> None:
    """As the units, which read the same file with systemd."""
    (config / "backup.env").write_text('# S3\nAWS_ACCESS_KEY_ID=id\nAWS_SECRET_ACCESS_KEY="a=b"\n', encoding="ascii")
    for command in ("backup", "restore"):
        found = variables([command], {}, config)
        assert (found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]) == ("id", "a=b")
    assert "AWS_ACCESS_KEY_ID" not in variables(["lake"], {}, config)


def test_the_user_of_a_service_gets_the_secrets_of_its_units_only(tmp_path: Path) -> None:
    for name in ("okr_dsn_loader", "okr_kafka_password_land", "okr_jwt_secret"):
        (tmp_path / name).write_text(f"{name}\n", encoding="ascii")
    units = {
        "okr-land@.service": ("okr-land", ["okr_dsn_loader", "okr_kafka_password"]),
        "okr-maintenance.service": ("okr-land", ["okr_dsn_loader", "okr_absent"]),
        "okr-api@.service": ("okr-api", ["okr_jwt_secret"]),
    }
    for unit, (user, secrets) in units.items():
        lines = [f"LoadCredential={name}:{tmp_path}/{name.replace('password', 'password_land')}" for name in secrets]
        (tmp_path / unit).write_text("\n".join(["[Service]", f"User={user}", *lines, ""]), encoding="ascii")
    assert secrets_of("okr-land", tmp_path.glob("*.service")) == {"OKR_DSN_LOADER": "okr_dsn_loader"}
