"""The generator of an installation's secrets: modes, repeated runs, and addresses that production accepts."""

import stat
from pathlib import Path

import pytest

from infra.containers import new_secrets
from lakehouse.errors import PermanentError


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text(encoding="ascii") for file in folder.iterdir()}


def test_files_are_unreadable_for_others_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    new_secrets.main([str(tmp_path)])
    before = contents(tmp_path)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o440}
    new_secrets.main([str(tmp_path)])
    assert contents(tmp_path) == before
    assert len(set(before.values())) == len(before)


def test_a_deleted_password_gets_a_new_value_and_others_keep_theirs(tmp_path: Path) -> None:
    new_secrets.main([str(tmp_path)])
    before = contents(tmp_path)
    for name in ("okr_pg_loader_password", "okr_dsn_loader"):
        (tmp_path / name).unlink()
    new_secrets.main([str(tmp_path)])
    after = contents(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"okr_pg_loader_password", "okr_dsn_loader"}
    assert after["okr_pg_loader_password"].strip() in after["okr_dsn_loader"]


def test_an_interrupted_run_leaves_no_part_of_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_self: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            new_secrets.main([str(tmp_path)])
    new_secrets.main([str(tmp_path)])
    assert not [name for name in contents(tmp_path) if name.startswith(".")]


def test_addresses_name_the_given_servers_and_authorities(tmp_path: Path) -> None:
    new_secrets.main([str(tmp_path), "--postgres=db.internal:5433", "--redis=cache.internal:6380", "--ca=/ca.pem"])
    found = contents(tmp_path)
    assert "@db.internal:5433/okr?sslmode=verify-full&sslrootcert=/ca.pem" in found["okr_dsn_owner"]
    assert found["okr_redis_url"].startswith("rediss://okr_serving:")
    assert "@cache.internal:6380/0" in found["okr_redis_url"]


def test_a_missing_folder_is_refused_with_the_command_that_creates_it(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="install -d"):
        new_secrets.main([str(tmp_path / "missing")])
