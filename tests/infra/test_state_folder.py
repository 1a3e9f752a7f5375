"""The state folder and its stack.env."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import ports
from infra.local.base_service import platform_environment
from infra.local.env_file import read_env_file, write_env_file
from infra.local.generated_secrets import ADDED_LATER, SECRETS
from infra.local.ports import PORTS
from infra.local.stack import MIN_FREE_BYTES, open_stack, prepare_stack
from lakehouse.errors import PermanentError
from lakehouse.settings import load_settings


@pytest.fixture
def foreign_server() -> Iterator[socket.socket]:
    """A socket with which a test occupies a port."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield server


def _occupy(server: socket.socket, port: int) -> None:
    server.bind((ports.LOOPBACK, port))
    server.listen()


def test_a_second_start_keeps_ports_and_secrets(tmp_path: Path) -> None:
    assert prepare_stack(tmp_path).env == prepare_stack(tmp_path).env


def test_a_taken_port_is_replaced_in_all_addresses(tmp_path: Path, foreign_server: socket.socket) -> None:
    before = prepare_stack(tmp_path)
    _occupy(foreign_server, before.port("postgres"))
    after = prepare_stack(tmp_path)
    assert after.port("postgres") != before.port("postgres")
    assert f":{after.port('postgres')}/okr" in after.env["OKR_DSN_OWNER"]
    assert {name: after.port(name) for name in PORTS if name != "postgres"} == {
        name: before.port(name) for name in PORTS if name != "postgres"
    }


def test_two_stacks_share_no_port_and_no_secret(tmp_path: Path) -> None:
    first, second = prepare_stack(tmp_path / "a"), prepare_stack(tmp_path / "b")
    assert not {first.port(name) for name in PORTS} & {second.port(name) for name in PORTS}
    assert not {first.env[name] for name in SECRETS} & {second.env[name] for name in SECRETS}


def test_stack_env_is_readable_only_by_its_owner(tmp_path: Path) -> None:
    prepare_stack(tmp_path / "state")
    assert (tmp_path / "state" / "stack.env").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "name", ["with space", "quo'te", 'double"quote', "back\\slash", "ünï çode", "equals=sign#hash"]
)
def test_settings_read_stack_env_in_folders_with_special_characters(tmp_path: Path, name: str) -> None:
    stack = prepare_stack(tmp_path / name)
    settings = load_settings(tmp_path / name)
    assert settings.lake_uri == str(tmp_path / name / "lake")
    assert settings.require("dsn_owner") == stack.env["OKR_DSN_OWNER"]
    assert settings.sites_dir == tmp_path / name / "sites"


def test_an_env_file_is_replaced_atomically_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "stack.env"
    write_env_file(path, {"OKR_A": "1", "OKR_B": "2"})
    write_env_file(path, {"OKR_A": "a 'b' \\ c"})
    assert read_env_file(path) == {"OKR_A": "a 'b' \\ c"}
    assert list(tmp_path.iterdir()) == [path]


def test_drafts_with_secrets_left_by_an_earlier_release_are_removed(tmp_path: Path) -> None:
    for pid in (17, 4_194_304):
        (tmp_path / f"stack.env.{pid}.draft").write_text("OKR_PG_OWNER_PASSWORD='secret'")
    write_env_file(tmp_path / "stack.env", {"OKR_A": "1"})
    assert [each.name for each in tmp_path.iterdir()] == ["stack.env"]


def test_a_damaged_stack_env_is_reported_with_its_missing_values(tmp_path: Path) -> None:
    write_env_file(tmp_path / "stack.env", {"OKR_STACK_ID": "x"})
    with pytest.raises(PermanentError, match="is damaged: it lacks OKR_PG_SUPERUSER_PASSWORD"):
        open_stack(tmp_path)


def test_a_stack_env_of_an_earlier_version_gets_the_secrets_that_it_lacks(tmp_path: Path) -> None:
    complete = prepare_stack(tmp_path).env
    write_env_file(tmp_path / "stack.env", {name: value for name, value in complete.items() if name not in ADDED_LATER})
    assert open_stack(tmp_path) is not None
    after = prepare_stack(tmp_path).env
    assert {name for name in complete if after[name] != complete[name]} == {
        *ADDED_LATER, "OKR_DSN_LANDING", "OKR_DSN_METRICS", "OKR_DSN_BACKUP"
    }  # fmt: skip


def test_a_state_folder_that_is_a_file_is_reported_with_advice(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(PermanentError, match=r"is not a folder\. Fix that, or choose another folder with OKR_STATE"):
        prepare_stack(tmp_path / "state")


def test_a_nearly_full_disk_is_reported_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("usage", (), {"free": MIN_FREE_BYTES - 1})
    monkeypatch.setattr("infra.local.stack.shutil.disk_usage", lambda path: full)
    with pytest.raises(PermanentError, match="needs at least 1,000 MB"):
        prepare_stack(tmp_path)
    assert not list(tmp_path.iterdir())


def test_variables_of_the_users_shell_do_not_reach_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW__CORE__EXECUTOR", "PGHOST", "PYTHONPATH", "OKR_DSN_OWNER", "KAFKA_OPTS"):
        monkeypatch.setenv(name, "elsewhere")
    assert "elsewhere" not in platform_environment(prepare_stack(tmp_path), secrets=()).values()
