"""Each fault of a host is found if it is there, and not if it is not: settings, secrets, files, ports, processes."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from infra.audit import debug_settings, environment, file_permissions, secret_strength
from infra.audit.accepted import read_accepted
from infra.audit.checks import Check, run
from infra.audit.finding import NotChecked
from infra.audit.installation import Installation
from infra.local.base_service import STACK_ID
from infra.local.executables import program
from infra.local.stack import Stack
from lakehouse.environment import CREDENTIALS
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from tests.ops.conftest import RequirePrograms

STRONG = ("2f1b9c77a0d34e58b6c1", "d80e61fa93b24c07a5e9", "6b40c2e85f9a4d13b7e0")


def found_by(check: Check, installation: Installation) -> list[str]:
    return [str(finding) for finding in check(installation)]


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_server_in_the_environment_development_is_found(tmp_path: Path) -> None:
    stack = Stack(tmp_path, {})
    assert found_by(environment.check, Installation(Settings(environment="production"))) == []
    assert found_by(environment.check, Installation(Settings(), stack=stack)) == []
    [line] = found_by(environment.check, Installation(Settings()))
    assert line.startswith("OKR_ENVIRONMENT: expected staging or production, because this is not a local stack, found")


def test_each_invalid_setting_is_found() -> None:
    errors = ("OKR_API_WORKERS: Input should be less than 257.", "OKR_REDIS_URL: Redis is on another host.")
    lines = found_by(environment.check, Installation(Settings(environment="production"), errors))
    assert [line.partition(":")[0] for line in lines] == ["OKR_API_WORKERS", "OKR_REDIS_URL"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"jwt_secret": "short"}, ["OKR_JWT_SECRET: expected a random secret of at least 16 characters, found 5"]),
        ({"jwt_secret": "changeme-changeme-1"}, ["OKR_JWT_SECRET: expected a random secret of at least 16 characters, "
                                                 "found a default"]),
        ({"jwt_secret": "ab" * 20}, ["found only 2 different characters"]),
        ({"jwt_secret": STRONG[1]}, ["OKR_JWT_SECRET: expected a secret of its own, found the same one as in OKR_ME"]),
        ({"dsn_loader": f"postgresql://okr_loader:{STRONG[1]}@db/okr"}, ["a secret of its own"]),
        ({"dsn_owner": "postgresql://okr_owner:okr_owner@db/okr"}, ["found a default"]),
        ({"dsn_owner": "postgresql://okr_owner@db/okr"}, ["OKR_DSN_OWNER: expected", "found none"]),
        ({"dsn_owner": "postgresql://okr_owner@/okr?host=/run/postgresql"}, []),
        # The same login in two settings is not an equal secret.
        ({"dsn_owner": f"postgresql://a:{STRONG[2]}@db/okr", "dsn_loader": f"postgresql://a:{STRONG[2]}@db/x"}, []),
        ({"redis_url": "redis://okr_serving:redis@db"}, ["OKR_REDIS_URL", "5 characters"]),
    ],
)  # fmt: skip
def test_weak_default_and_equal_secrets_are_found(changes: dict[str, str], found: list[str]) -> None:
    values = {"jwt_secret": STRONG[0], "metrics_token": STRONG[1]} | changes
    lines = found_by(secret_strength.check, Installation(Settings(**values)))
    assert len(lines) == bool(found)
    assert all(part in lines[0] for part in found)
    assert not any(secret in "".join(lines) for secret in (*STRONG, "changeme-changeme-1", "ab" * 20))


def test_secrets_of_other_services_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CREDENTIALS, str(tmp_path))
    for name, text in (("okr_kafka_password_land", STRONG[0]), ("okr_airflow_dsn", f"postgresql://a:{STRONG[1]}@/x")):
        (tmp_path / name).write_text(f"{text}\n")
    assert found_by(secret_strength.check, Installation(Settings())) == []
    (tmp_path / "okr_kafka_password_state").write_text(STRONG[0])
    [line] = found_by(secret_strength.check, Installation(Settings()))
    assert line.startswith(
        "OKR_KAFKA_PASSWORD_STATE: expected a secret of its own, found the same one as in OKR_KAFKA_PAS"
    )


def test_a_password_in_a_file_and_in_a_setting_of_the_same_login_is_no_equal_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CREDENTIALS, str(tmp_path))
    (tmp_path / "okr_kafka_password_admin").write_text(STRONG[0])
    (tmp_path / "okr_redis_admin").write_text(STRONG[1])
    settings = {"kafka_password": STRONG[0], "redis_admin_url": f"rediss://okr_admin:{STRONG[1]}@cache/0"}
    assert found_by(secret_strength.check, Installation(Settings(kafka_user="okr-admin", **settings))) == []
    lines = found_by(secret_strength.check, Installation(Settings(kafka_user="okr-operator", **settings)))
    assert ["OKR_KAFKA_PASSWORD_ADMIN: expected a secret of its own" in line for line in lines] == [True]


def test_folders_that_others_can_enter_are_found(reachable: Path) -> None:
    state, lake = reachable / "state", reachable / "lake"
    for folder in (state, lake, state / "spool", state / "api"):
        folder.mkdir(mode=0o750)
    installation = Installation(Settings(state=state, lake_uri=str(lake)))
    assert found_by(file_permissions.check, installation) == []
    (state / "spool").chmod(0o777)  # nobody can reach it
    assert found_by(file_permissions.check, installation) == []
    (state / "acme").mkdir(mode=0o755)  # nginx's user reads challenges there
    lake.chmod(0o755)
    state.chmod(0o755)  # on a server, others may enter it, but not the folders of the services
    lines = found_by(file_permissions.check, installation)
    assert [line.split(":")[0] for line in lines] == [str(state / "spool"), str(lake)]
    assert f"found 0755. Run chmod o-rwx {lake}." in lines[1]


def test_secrets_that_others_can_read_are_found(reachable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = reachable / "secrets"
    vault.mkdir(mode=0o700)
    secret, other = vault / "okr_jwt_secret", reachable / "token"
    for file in (secret, other):
        file.touch(mode=0o600)
    monkeypatch.setenv(CREDENTIALS, str(vault))
    monkeypatch.setenv("OKR_METRICS_TOKEN_FILE", str(other))
    installation = Installation(Settings(state=reachable / "state"))
    assert found_by(file_permissions.check, installation) == []
    for path, mode in ((secret, 0o640), (other, 0o604), (vault, 0o711)):
        path.chmod(mode)
    lines = found_by(file_permissions.check, installation)
    assert [line.split(":")[0] for line in lines] == [str(vault), str(secret), str(other)]
    assert "found 0640. Run chmod 0600" in lines[1]


@contextmanager
def running_in_stack(stack: Stack, *arguments: str, **variables: str) -> Iterator[None]:
    """Run a Python process that belongs to a stack, with arguments that it ignores."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; print('ready', flush=True); sys.stdin.read()", *arguments],
        env={STACK_ID: stack.env[STACK_ID], **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
        process.terminate()


@pytest.mark.parametrize(
    ("arguments", "variables", "found"),
    [
        ((), {"AIRFLOW__API__EXPOSE_CONFIG": "False"}, None),
        (
            (),
            {"AIRFLOW__API__EXPOSE_CONFIG": "True"},
            "AIRFLOW__API__EXPOSE_CONFIG not switched on, found True",
        ),
        ((), {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}, "found DEBUG"),
        (("--reload",), {}, "expected no debugging argument, found --reload"),
        (("-agentlib:jdwp=transport=dt_socket,server=y",), {}, "found -agentlib:jdwp"),
    ],
)
def test_debugging_is_found(
    arguments: tuple[str, ...], variables: dict[str, str], found: str | None, tmp_path: Path
) -> None:
    stack = Stack(tmp_path, {STACK_ID: uuid4().hex})
    installation = Installation(Settings(), stack=stack)
    with running_in_stack(stack, *arguments, **variables):
        lines = found_by(debug_settings.check, installation)
    assert len(lines) == (found is not None)
    assert found is None or found in lines[0]
    with pytest.raises(NotChecked, match="no process"):
        found_by(debug_settings.check, installation)


@pytest.fixture(scope="module")
def listening_host(require_programs: RequirePrograms) -> Iterator[str]:
    """A network namespace with servers on loopback, on port 5432 of all addresses, and on port 9999 of one address."""
    require_programs("ip")
    name = f"okraudit-{uuid4().hex[:6]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    script = (
        "import socket, sys; sockets = [socket.create_server(address, family=family) for family, address in ("
        "(socket.AF_INET, ('127.0.0.1', 8000)), (socket.AF_INET6, ('::1', 8000)), (socket.AF_INET, ('', 5432)),"
        "(socket.AF_INET, ('10.9.9.9', 9999)))]; print('ready', flush=True); sys.stdin.read()"
    )
    try:
        subprocess.run(["ip", "-netns", name, "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "-netns", name, "addr", "add", "10.9.9.9/32", "dev", "lo"], check=True)
        command = ["ip", "netns", "exec", name, sys.executable, "-c", script]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as servers:
            assert servers.stdout is not None
            assert servers.stdout.readline() == b"ready\n"
            yield name
            servers.terminate()
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.parametrize(("zone", "ports"), [(None, {5432, 9999}), ("data", {9999}), ("app", {5432, 9999})])
def test_ports_beyond_loopback_and_the_table_of_flows_are_found(
    listening_host: str, zone: str | None, ports: set[int], tmp_path: Path
) -> None:
    networks = tmp_path / "firewall.toml"
    if zone:
        networks.write_text(f'zones = ["{zone}"]\n[networks]\noperators = ["10.0.0.1"]\n')
    done = subprocess.run(
        ["ip", "netns", "exec", listening_host, program("okr"), "installation", "audit", "--only", "ports", "--json",
         "--networks", str(networks)],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OKR_STATE": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    [result] = json.loads(done.stdout)
    assert {int(finding["subject"].split()[1]) for finding in result["findings"]} == ports
    assert "of python" in result["findings"][0]["subject"]


def test_a_secret_in_a_setting_stays_secret_in_all_findings() -> None:
    settings = Settings(jwt_secret=SecretStr("hunter2"), dsn_owner=SecretStr("postgresql://okr_owner:hunter2@db/okr"))
    assert "hunter2" not in "".join(found_by(secret_strength.check, Installation(settings)))


def test_an_accepted_finding_does_not_count_and_others_do(tmp_path: Path) -> None:
    file = tmp_path / "audit.toml"
    assert read_accepted(file) == ()
    installation = Installation(Settings(jwt_secret=SecretStr("short"), metrics_token=SecretStr("weak")))
    found = {finding.subject: finding.found for finding in run("secrets", installation).findings}["OKR_JWT_SECRET"]
    entry = f'[[accepted]]\ncheck = "secrets"\nsubject = "OKR_JWT_SECRET"\nfound = "{found}"\nreason = "a trial"\n'
    file.write_text(entry)
    result = run("secrets", installation, read_accepted(file))
    assert [finding.subject for finding in result.findings] == ["OKR_METRICS_TOKEN"]
    assert [each.reason for each in result.accepted] == ["a trial"]
    assert run("environment", installation, read_accepted(file)).accepted == ()
    file.write_text(entry.replace(found, "another value"))
    assert len(run("secrets", installation, read_accepted(file)).findings) == 2
    assert run("secrets", installation, read_accepted(file)).accepted == ()


@pytest.mark.parametrize(
    "text",
    [
        "[[accepted]]\n",
        "accepted = 1\n",
        "[[accepted",
        '[[accepted]]\ncheck = "a"\nsubject = "b"\nfound = "c"\nreason = ""\n',
    ],
)
def test_an_invalid_file_of_accepted_findings_is_rejected(tmp_path: Path, text: str) -> None:
    file = tmp_path / "audit.toml"
    file.write_text(text)
    with pytest.raises(
        PermanentError,
        match=r"audit\.toml is invalid\. Expected tables \[\[accepted\]\] with check, subject, found and reason, got: ",
    ):
        read_accepted(file)
