"""The settings of the compose file's nginx, PostgreSQL and Kafka: the programs start with them, and checks notice it.

Paths and ports are those of the test; everything else is as in the files.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.containers import new_secrets
from infra.containers.proxy import container_site
from infra.local import kafka_jars
from infra.local.executables import ROOT
from infra.local.kafka import Kafka
from infra.local.ports import choose
from infra.local.postgres import binary
from infra.local.stack import Stack
from infra.local.unprivileged import command_prefix, give_ownership
from infra.nginx.apply import nginx_program
from infra.nginx.site import configuration
from lakehouse.settings import Settings
from tests.ops.certificates import CertificateAuthority
from tests.ops.conftest import RequirePrograms
from tests.ops.nginx.proxies import new_host
from tests.ops.tls.postgres_server import BINARIES, OWNER
from tests.polling import until

FOLDER = ROOT / "infra" / "containers"
# A mount namespace in which names are looked up in the file of the test, and nowhere else.
OWN_NAMES = 'mount --bind "$1" /etc/hosts && mount --bind /dev/null /etc/resolv.conf && shift && exec "$@"'


def service(file: str, name: str) -> dict[str, Any]:
    """Return a service of a compose file."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))["services"][name]
    return found


def test_nginx_starts_while_airflow_and_mlflow_are_down(require_programs: RequirePrograms, tmp_path: Path) -> None:
    """Docker's DNS does not know them then; see https://github.com/NginxProxyManager/nginx-proxy-manager/issues/2359."""
    require_programs("nginx", "unshare")
    names = [line.split("=") for line in service("compose.yaml", "nginx")["extra_hosts"]]
    for name, address in names:
        assert service("compose.yaml", name)["networks"]["app"] == {"ipv4_address": address}
    in_container = container_site("https://okr.example.org")
    upstreams = {name: getattr(in_container, name) for name in ("api_server", "airflow", "mlflow")}
    hosts = tmp_path / "hosts"
    with new_host() as host:
        site = replace(host.site("127.0.0.1:1"), **upstreams, authority_file=host.authority.file)
        config = site.pid_file.with_name("nginx.conf")
        config.write_text(configuration(site), encoding="utf-8")

        def tested(lines: Sequence[Sequence[str]]) -> subprocess.CompletedProcess[str]:
            hosts.write_text("".join(f"{address} {name}\n" for name, address in lines), encoding="ascii")
            test = [nginx_program(), "-t", "-e", str(site.error_log), "-c", str(config)]
            return subprocess.run(
                ["unshare", "--mount", "sh", "-c", OWN_NAMES, "sh", hosts, *test],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip

        started = tested(names)
        assert started.returncode == 0, started.stderr
        failed = tested(names[:-1])
        assert 'host not found in upstream "mlflow"' in failed.stderr


@pytest.fixture(scope="module")
def database(require_programs: RequirePrograms) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with an empty PostgreSQL of its own user, and variables with which programs find it on the socket."""
    require_programs("setpriv", "pg_ctlcluster")
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="okr-initdb-") as name:
        folder = Path(name)
        shutil.chown(folder, OWNER, OWNER)
        as_owner(
            "initdb", "-D", str(folder / "data"), "--no-sync", "--auth=scram-sha-256", f"--pwfile={password(folder)}"
        )
        yield folder, {"PGHOST": str(folder), "PGPORT": str(choose(set())), "PATH": f"{BINARIES}:{os.environ['PATH']}"}


def password(folder: Path) -> Path:
    file = folder / "password"
    file.write_text("secret", encoding="ascii")
    shutil.chown(file, OWNER, OWNER)
    return file


def as_owner(program: str, *arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    user = pwd.getpwnam(OWNER)
    return subprocess.run(
        [BINARIES / program, *arguments], user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", **variables}, check=check, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip


@contextmanager
def started(folder: Path, variables: dict[str, str], addresses: str) -> Iterator[None]:
    """Run the server as the image's entrypoint does: while it creates the database, without an address."""
    shutil.copy(FOLDER / "pg_hba.conf", folder / "data" / "pg_hba.conf")
    options = f"-c listen_addresses='{addresses}' -c unix_socket_directories={folder} -p {variables['PGPORT']}"
    as_owner("pg_ctl", "-D", str(folder / "data"), "-l", str(folder / "log"), "-o", options, "-w", "start")
    try:
        yield
    finally:
        as_owner("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")


def test_postgresql_is_not_healthy_while_its_image_creates_the_database(database: tuple[Path, dict[str, str]]) -> None:
    """See https://github.com/docker-library/postgres/issues/146."""
    kind, *check = service("compose.stores.yaml", "postgres")["healthcheck"]["test"]
    assert kind == "CMD"

    def is_healthy(command: Sequence[str]) -> bool:
        return subprocess.run(command, env=database[1], check=False, timeout=20).returncode == 0

    with started(*database, addresses=""):
        assert is_healthy(["pg_isready", "-q"])  # on the socket
        assert not is_healthy(check)
    with started(*database, addresses="127.0.0.1"):
        assert is_healthy(check)


def test_on_the_socket_only_the_servers_own_user_is_let_in_without_a_password(
    database: tuple[Path, dict[str, str]],
) -> None:
    query = ["psql", "-U", "postgres", "-tAc", "SELECT 1", "--no-password", "postgres"]
    with started(*database, addresses=""):
        assert as_owner(*query, **database[1]).stdout == "1\n"
        refused = subprocess.run(query, env=database[1], capture_output=True, text=True, check=False, timeout=20)
        assert 'Peer authentication failed for user "postgres"' in refused.stderr


def test_postgresql_accepts_its_settings(postgres: Settings, test_stack: Stack) -> None:
    home = test_stack.state / "postgres"
    settings = home / "compose.conf"

    def value(name: str, text: str) -> subprocess.CompletedProcess[str]:
        settings.write_text(text, encoding="utf-8")
        give_ownership(settings)
        command = [
            *command_prefix(),
            binary("postgres"),
            "-D",
            home / "data",
            "-C",
            name,
            "-c",
            f"config_file={settings}",
        ]
        return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=20, check=False)

    text = (ROOT / "infra" / "postgres" / "postgresql.conf").read_text(encoding="utf-8")
    assert value("reserved_connections", text).stdout == "100\n"
    assert value("log_statement", text).stdout == "none\n"
    wrong = value("log_statement", f"{text}no_such_setting = 1\n")
    assert wrong.returncode != 0
    assert "no_such_setting" in wrong.stderr


@pytest.fixture(scope="module")
def broker(test_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, Path]]:
    """The broker of kafka.properties: its port for clients, its port without login, and the file of authorities."""
    folder, authority = tmp_path_factory.mktemp("kafka"), CertificateAuthority(tmp_path_factory.mktemp("ca"))
    certificate = authority.issue("kafka", ("localhost",))
    clients, controller, admin = choose(set()), choose(set()), choose(set())
    text = (FOLDER / "kafka.properties").read_text(encoding="utf-8")
    for old, new in {
        "SASL_SSL://:9093": f"SASL_SSL://127.0.0.1:{clients}",
        "SASL_SSL://kafka:9093": f"SASL_SSL://localhost:{clients}",
        "127.0.0.1:9094": f"127.0.0.1:{controller}",
        "127.0.0.1:9095": f"127.0.0.1:{admin}",
        "/var/lib/kafka/data": str(folder / "data"),
        "/run/secrets/kafka.pem": str(certificate.both),
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    settings = folder / "kafka.properties"
    settings.write_text(text, encoding="utf-8")
    with running(test_stack, settings, folder):
        plain = AdminClient({"bootstrap.servers": f"127.0.0.1:{admin}", "log_level": 0})
        until(lambda: bool(topics(plain) is not None), "the broker answers", seconds=60)
        yield clients, admin, authority.file


@contextmanager
def running(stack: Stack, settings: Path, folder: Path) -> Iterator[None]:
    kafka_jars.fetch(print)
    java = Kafka(stack)._java()
    variables = os.environ | {"CLASSPATH": kafka_jars.class_path()}
    cluster = ["--cluster-id", "AAAAAAAAAAAAAAAAAAAAAA"]
    format_command = [*java, "kafka.tools.StorageTool", "format", *cluster, "--config", str(settings)]
    subprocess.run(format_command, env=variables, cwd=folder, check=True, capture_output=True, timeout=60)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*java, "kafka.Kafka", str(settings)], env=variables, cwd=folder, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.kill()  # its data are deleted
        process.wait(30)


def topics(client: AdminClient) -> set[str] | None:
    try:
        return set(client.list_topics(timeout=2).topics)
    except KafkaException:
        return None


def client_of(port: int, authorities: Path, password: str) -> AdminClient:
    return AdminClient(
        {
            "bootstrap.servers": f"localhost:{port}", "security.protocol": "SASL_SSL", "log_level": 0,
            "ssl.ca.location": str(authorities), "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "okr-state",
            "sasl.password": password,
        }
    )  # fmt: skip


def test_the_job_lets_in_each_service_with_its_password_and_rights(
    broker: tuple[int, int, Path], tmp_path: Path
) -> None:
    clients, admin, authorities = broker
    new_secrets.main([str(tmp_path)])
    script = (FOLDER / "kafka_access.sh").read_text(encoding="utf-8").replace("/run/secrets", str(tmp_path))
    variables = {"PATH": f"{ROOT / '.venv' / 'bin'}:{os.defpath}", "OKR_KAFKA_BOOTSTRAP": f"127.0.0.1:{admin}"}
    for _ in range(2):  # it runs at each start
        job = subprocess.run(
            ["sh", "-c", script], env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert job.returncode == 0, job.stdout + job.stderr
    password = (tmp_path / "okr_kafka_password_state").read_text(encoding="ascii").strip()
    assert password not in job.stdout + job.stderr
    # It may read one topic, so it does not see the others.
    assert topics(client_of(clients, authorities, password)) == {"okr_user_events"}
    assert topics(client_of(clients, authorities, "wrong")) is None
    assert topics(AdminClient({"bootstrap.servers": f"localhost:{clients}", "log_level": 0})) is None
