"""Exported variables neither redirect an `okr` command nor reach its child processes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lakehouse
from infra.local.stack import prepare_stack
from lakehouse.environment import exported, for_children, for_own_commands, isolate, remove_libpq_variables
from tests import hostile_environment

ROOT = Path(lakehouse.__file__).parents[1]
OKR = str(Path(sys.executable).with_name("okr"))


def _okr(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([OKR, *arguments], env=environment, capture_output=True, check=False, timeout=60)


@pytest.fixture
def caller(tmp_path: Path) -> dict[str, str]:
    """The environment of a caller, without hostile variables."""
    prepare_stack(tmp_path / "state")
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OKR_STATE": str(tmp_path / "state")}


@pytest.fixture
def _own_environment() -> Iterator[None]:
    """Restore the environment of the process after a test that empties it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_addresses_come_from_the_state_folder_whatever_was_exported(tmp_path: Path, caller: dict[str, str]) -> None:
    stack = prepare_stack(tmp_path / "state")
    plain = _okr(caller, "env")
    answer = _okr(caller | hostile_environment.variables(tmp_path / "hostile"), "env")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == plain.stdout
    assert stack.env["OKR_KAFKA_BOOTSTRAP"].encode() in answer.stdout
    assert b"Traceback" not in answer.stderr


@pytest.mark.parametrize("name", sorted(hostile_environment.variables(Path("/tmp"))))  # noqa: S108 -- names only
def test_no_single_variable_reaches_a_child_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value = hostile_environment.variables(tmp_path)[name]
    monkeypatch.setenv(name, value)
    child = for_children(tmp_path)
    allowed = {"NO_PROXY", "no_proxy", "TMPDIR", "LANG", "LC_ALL", "TZ"}
    assert name not in child or name in allowed
    assert child.get(name) != value or name == "TMPDIR" or (name, value) == ("LC_ALL", "C.UTF-8")


def test_exports_of_another_stack_are_ignored_with_one_line_without_values(caller: dict[str, str]) -> None:
    secret = {"OKR_LAKE_URI": "/another/lake", "OKR_DSN_OWNER": "postgresql://o:hunter2@elsewhere/o"}
    answer = _okr(caller | secret, "env")
    assert answer.returncode == 0
    (line,) = answer.stderr.decode().splitlines()
    assert "ignored OKR_DSN_OWNER, OKR_LAKE_URI from the environment" in line
    assert "hunter2" not in line
    assert b"/another/lake" not in answer.stdout


def test_exports_of_the_same_stack_cause_no_message(tmp_path: Path, caller: dict[str, str]) -> None:
    shell = f'eval "$({OKR} env)"; {OKR} env'
    answer = subprocess.run(["sh", "-c", shell], env=caller, capture_output=True, text=True, check=True, timeout=60)
    assert answer.stderr == ""
    assert str(tmp_path / "state" / "lake") in answer.stdout


def test_a_latin_1_terminal_gets_question_marks_and_no_traceback(tmp_path: Path, caller: dict[str, str]) -> None:
    caller["OKR_STATE"] = str(tmp_path / "Größe → 目標")
    prepare_stack(Path(caller["OKR_STATE"]))
    answer = _okr(caller | {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"}, "env")
    assert answer.returncode == 0, answer.stderr
    assert "Größe ? ??".encode("latin-1") in answer.stdout


def test_without_home_and_passwd_entry_the_state_folder_is_home(tmp_path: Path, caller: dict[str, str]) -> None:
    if os.geteuid() != 0:
        pytest.fail("this test changes its user id, so it has to run as root")
    caller.pop("HOME")
    state = Path(caller["OKR_STATE"])
    tmp_path.chmod(0o755)
    for folder in (state, *state.rglob("*")):
        shutil.chown(folder, 54321, 54321)
    capability = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]  # to read this clone
    reader = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", *capability, OKR]
    answer = subprocess.run([*reader, "env"], env=caller, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert "OKR_LAKE_URI" in answer.stdout


def test_a_missing_certificate_file_is_reported_and_ignored(tmp_path: Path, caller: dict[str, str]) -> None:
    answer = _okr(caller | {"SSL_CERT_FILE": str(tmp_path / "gone.pem")}, "env")
    assert answer.returncode == 0
    assert answer.stderr.decode() == "okr: ignored SSL_CERT_FILE from the environment: no such file or folder.\n"


def test_a_removed_current_folder_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    shell = f"unset OKR_STATE; cd {tmp_path}/gone && rmdir ../gone && exec {OKR} status"
    answer = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith("okr: The current folder was removed. Change to one that exists")
    assert "Traceback" not in answer.stderr


@pytest.mark.usefixtures("_own_environment")
def test_a_download_keeps_its_proxy_and_a_lake_in_a_bucket_its_credentials(tmp_path: Path) -> None:
    os.environ |= {"HTTPS_PROXY": "http://proxy:3128", "AWS_ACCESS_KEY_ID": "key", "PGHOST": "elsewhere"}
    isolate(tmp_path)
    assert os.environ["HTTPS_PROXY"] == "http://proxy:3128"
    assert os.environ["AWS_ACCESS_KEY_ID"] == "key"
    assert "PGHOST" not in os.environ
    assert "HTTPS_PROXY" not in for_children(tmp_path)
    assert for_own_commands(tmp_path)["HTTPS_PROXY"] == "http://proxy:3128"


@pytest.mark.usefixtures("_own_environment")
def test_libpq_variables_are_removed_from_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "missing")
    remove_libpq_variables()
    assert not [name for name in os.environ if name.startswith("PG")]


def test_variables_exported_for_a_library_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_TARGET_PATH", "before")
    with exported({"DBT_TARGET_PATH": "within", "OKR_DBT_HOST": "here"}):
        assert os.environ["DBT_TARGET_PATH"] == "within"
    assert os.environ["DBT_TARGET_PATH"] == "before"
    assert "OKR_DBT_HOST" not in os.environ


def test_pip_and_uv_get_index_settings_and_nothing_that_changes_what_is_installed(tmp_path: Path) -> None:
    index = {"PIP_INDEX_URL": "https://mirror.example/simple", "UV_DEFAULT_INDEX": "https://mirror.example/simple"}
    unwanted = {"UV_PYTHON": "3.8", "UV_SYSTEM_PYTHON": "1", "PIP_CONFIG_FILE": "/nowhere", "PIP_NO_DEPS": "1"}
    caller = hostile_environment.variables(tmp_path) | index | unwanted | {"PATH": os.environ["PATH"]}
    command = [str(ROOT / ".ci" / "clean-env"), "env"]
    answer = subprocess.run(command, env=caller, capture_output=True, text=True, check=True, timeout=60)
    left = dict(line.split("=", 1) for line in answer.stdout.splitlines())
    assert {name: left[name] for name in index} == index
    assert left["HTTPS_PROXY"] == hostile_environment.BLACK_HOLE
    assert not [name for name in left if name.startswith(("PYTHON", "PG", "OKR_", "AIRFLOW", "DBT_"))]
    assert not left.keys() & {*unwanted, "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
    assert f"SSL_CERT_FILE is ignored, because {tmp_path}/missing.pem does not exist" in answer.stderr


def test_the_recipes_of_the_makefile_see_no_python_variable(tmp_path: Path) -> None:
    caller = hostile_environment.variables(tmp_path) | {
        "PATH": os.environ["PATH"],
        "BASH_ENV": "/nowhere",
        "CDPATH": "/",
    }
    command = ["make", "--silent", "--eval", "probe: ; @env", "probe"]
    answer = subprocess.run(command, env=caller, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    left = {line.partition("=")[0] for line in answer.stdout.splitlines()}
    harmful = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "BASH_ENV", "CDPATH"}
    assert not left & harmful
