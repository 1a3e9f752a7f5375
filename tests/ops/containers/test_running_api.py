"""The container of the API as the compose file runs it: read-only, without rights, with its secrets in files."""

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from infra.containers.proxy import container_site
from infra.local.executables import ROOT
from infra.local.ports import choose
from infra.local.stack import Stack
from lakehouse.settings import Settings
from tests.ops.conftest import RequirePrograms
from tests.ops.containers.podman import Podman
from tests.ops.nginx.proxies import new_host, running
from tests.polling import until

FOLDER = ROOT / "infra" / "containers"
UID = 10001
START_SECONDS = 90
STOP_SECONDS = 20
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


@dataclass(frozen=True)
class Container:
    """A running container: podman's process, a client of the API, the API's port, and the log."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    port: int
    log: Path


def service() -> dict[str, Any]:
    """Return the service `api` of the compose file."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]["api"]
    return found


def write_secrets(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write the secrets that the compose file gives the API, and return the variables that name their files."""
    folder.mkdir(mode=0o750)
    variables = {}
    for variable, path in service()["environment"].items():
        if variable.endswith("_FILE") and (value := env.get(variable.removesuffix("_FILE"))):
            (folder / Path(path).name).write_text(f"{value}\n", encoding="utf-8")
            variables[variable] = str(path)
    for path in (folder, *folder.iterdir()):
        os.chown(path, 0, UID)
        path.chmod(0o750 if path is folder else 0o440)
    return variables


def confinement() -> list[str]:
    """Return the options of podman for what the compose file says about the API."""
    described = service()
    return [
        "--read-only" if described["read_only"] else "",
        *(f"--cap-drop={each}" for each in described["cap_drop"]),
        *(f"--security-opt={each.removesuffix(':true')}" for each in described["security_opt"]),
        *(f"--tmpfs={each}" for each in described["tmpfs"]),
    ]


@pytest.fixture(scope="module")
def container(  # noqa: PLR0917 -- fixtures
    podman: Podman, api_image: str, kafka: Settings, postgres: Settings, redis_server: Settings, test_stack: Stack,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Container]:  # fmt: skip
    """The API in the network of this host, with PostgreSQL, Redis and Kafka."""
    folder, port = tmp_path_factory.mktemp("container"), choose(set())
    state, log = folder / "state", folder / "log"
    state.mkdir(mode=0o700)
    os.chown(state, UID, UID)
    key = base64.b64encode(secrets.token_bytes(32)).decode()  # production demands encryption of personal fields
    variables = write_secrets({**test_stack.env, "OKR_FIELD_ENCRYPTION_KEY": key}, folder / "secrets") | {
        "OKR_ENVIRONMENT": "production", "OKR_API_PORT": str(port), "OKR_KAFKA_BOOTSTRAP": kafka.kafka_bootstrap,
    }  # fmt: skip
    environment = [f"--env={name}={value}" for name, value in variables.items()]
    command = podman.command(
        "run", "--name=api", "--no-healthcheck", "--network=host", *confinement(), *environment,
        f"--volume={folder / 'secrets'}:/run/secrets:ro", f"--volume={state}:/var/lib/okr", api_image,
    )  # fmt: skip
    with log.open("wb") as output, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        process = subprocess.Popen(command, env=podman.environment, stdout=output, stderr=output)

        def is_alive() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return client.get("/livez").status_code == 200
            except httpx.TransportError:
                return False

        try:
            until(is_alive, "the API answers", seconds=START_SECONDS)
            yield Container(process, client, port, log)
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def test_it_runs_as_an_unprivileged_user_without_capabilities(podman: Podman, container: Container) -> None:
    text = podman.output("exec", "api", "cat", "/proc/1/status")
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
    assert status["Uid"].split() == [str(UID)] * 4
    assert status["Gid"].split() == [str(UID)] * 4
    assert [int(status[name], 16) for name in CAPABILITIES] == [0] * len(CAPABILITIES)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_it_serves_with_secrets_from_files(container: Container, postgres: Settings) -> None:
    until(lambda: container.client.get("/health").status_code == 200, "PostgreSQL is reached", seconds=30)
    login = {"username": "app", "password": postgres.require("app_password")}
    answer = container.client.post("/auth/token", json=login)
    assert answer.status_code == 200, answer.text
    assert container.client.post("/auth/token", json=login | {"password": "wrong"}).status_code == 401


def test_no_secret_is_in_the_environment_or_the_log(podman: Podman, container: Container, test_stack: Stack) -> None:
    environment = podman.output("exec", "api", "cat", "/proc/1/environ")
    log = container.log.read_text(encoding="utf-8")
    assert "OKR_JWT_SECRET_FILE" in environment
    values = [value for name, value in test_stack.env.items() if name.endswith(("SECRET", "PASSWORD"))]
    assert not [value for value in values if value in environment or value in log]


def test_the_root_file_system_cannot_be_written(podman: Podman, container: Container) -> None:
    result = podman.run("exec", "api", "touch", "/opt/okr/planted", "/etc/planted", "/planted", check=False)
    assert result.returncode != 0
    assert result.stderr.count("Read-only file system") == 3
    assert podman.run("exec", "api", "touch", "/tmp/a", "/var/lib/okr/a", check=False).returncode == 0  # noqa: S108


def test_the_health_check_of_the_image_notices_whether_the_api_answers(
    podman: Podman, container: Container, api_image: str
) -> None:
    inspected = json.loads(podman.output("image", "inspect", api_image))[0]
    check = (inspected.get("Healthcheck") or inspected["HealthCheck"])["Test"]
    assert check[0] == "CMD"
    assert podman.run("exec", "api", *check[1:], check=False).returncode == 0
    other = podman.run("exec", f"--env=OKR_API_PORT={choose(set())}", "api", *check[1:], check=False)
    assert other.returncode == 1
    assert "Connection refused" in other.stderr


def test_nginx_ends_tls_in_front_of_it(
    container: Container, postgres: Settings, require_programs: RequirePrograms
) -> None:
    require_programs("nginx", "setpriv")
    with new_host() as host:
        own = host.site(f"127.0.0.1:{container.port}")
        kept = ("web_folder", "connections")  # as in the container; its names, paths and ports are not those of a test
        in_container = {name: getattr(container_site("https://okr.example.org"), name) for name in kept}
        with running(host, replace(own, **in_container)) as proxy, proxy.client() as client:
            login = {"username": "app", "password": postgres.require("app_password")}
            answer = client.post("/auth/token", json=login)
            assert answer.status_code == 200, answer.text
            assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"
            assert client.get("/static/okr.css").status_code == 200  # which the API serves


def test_sigterm_completes_a_request_and_stops_the_container(container: Container, postgres: Settings) -> None:
    login = {"username": "app", "password": postgres.require("app_password")}
    body = json.dumps(login).encode()
    head = "POST /auth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", container.port), timeout=STOP_SECONDS) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:5])
        time.sleep(0.5)  # the API has read the head
        container.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.sendall(body[5:])
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert container.process.wait(STOP_SECONDS) == 0, container.log.read_text()


def test_a_wrong_setting_is_one_line_and_the_container_stops(podman: Podman, api_image: str) -> None:
    result = podman.run("run", "--rm", "--network=none", "--env=OKR_API_WORKERS=many", api_image, check=False)
    assert result.returncode == 1
    assert "OKR_API_WORKERS" in result.stderr
    assert "Traceback" not in result.stderr
