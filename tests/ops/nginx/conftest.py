"""A host with a certificate authority, and the real API behind nginx, each started once."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lakehouse.settings import Settings
from tests.databases import NewDatabase
from tests.ingestion.crash import OKR, environment_of
from tests.ops.conftest import RequirePrograms
from tests.ops.nginx.proxies import USER, Host, Proxy, Upstream, new_host, recording, running
from tests.polling import until

NO_KAFKA = "127.0.0.1:9"


@dataclass(frozen=True)
class Api:
    """`okr serve --uds` behind nginx, with two tools that record requests."""

    proxy: Proxy
    settings: Settings
    socket: Path
    airflow: Upstream
    mlflow: Upstream
    log: Path

    @contextmanager
    def client(self, username: str | None = None) -> Iterator[httpx.Client]:
        """Return a browser's client, with a session of one of the first accounts."""
        with self.proxy.client(headers={"Accept": "text/html"}) as client:
            if username is not None:
                form = {"username": username, "password": self.settings.require(f"{username}_password")}
                assert client.post("/login", data=form).status_code == 303
            yield client

    def direct(self) -> httpx.Client:
        """Return a client that connects to the API's socket, past nginx."""
        transport = httpx.HTTPTransport(uds=str(self.socket))
        return httpx.Client(transport=transport, base_url="http://127.0.0.1", timeout=30)


@pytest.fixture(scope="session")
def host(require_programs: RequirePrograms) -> Iterator[Host]:
    """A folder with a certificate authority."""
    require_programs("nginx", "setpriv", "curl", "wrk")
    with new_host() as found:
        yield found


@pytest.fixture(scope="session")
def api_settings(new_database: NewDatabase, redis_server: Settings, host: Host) -> Iterator[Settings]:
    """Settings of an API on an empty warehouse, without Kafka. Its public address is filled in later."""
    with new_database() as settings:
        yield settings.model_copy(
            update={
                "redis_url": redis_server.redis_url, "kafka_bootstrap": NO_KAFKA, "trusted_proxies": "unix",
                "sites_dir": host.folder / "sites", "airflow_url": "", "mlflow_url": "", "log_json": True,
            }
        )  # fmt: skip


@contextmanager
def serving_api(settings: Settings, state: Path, socket: Path) -> Iterator[Path]:
    """Run `okr serve --uds` until the block ends; return its log."""
    state.mkdir(exist_ok=True)
    log = state / "serve.log"
    with log.open("wb") as output:
        command = [*OKR, "serve", "--uds", str(socket), "--uds-group", USER]
        process = subprocess.Popen(command, env=environment_of(settings, state), stdout=output, stderr=output)
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://127.0.0.1", timeout=60
    ) as client:

        def is_ready() -> bool:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            return socket.exists() and client.get("/readyz").status_code == 200

        try:
            until(is_ready, "the API is ready")
            yield log
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="session")
def api(api_settings: Settings, host: Host) -> Iterator[Api]:
    """The API, nginx in front of it, and recording servers in the place of Airflow and MLflow."""
    socket = host.folder / "api" / "blue.sock"
    socket.parent.mkdir()
    current = socket.with_name("current.sock")
    current.symlink_to(socket.name)
    with recording() as airflow, recording() as mlflow:
        site = host.site(f"unix:{current}", airflow=f"http://{airflow.address}", mlflow=f"http://{mlflow.address}")
        settings = api_settings.model_copy(update={"api_url": f"https://{site.authority}"})
        with serving_api(settings, host.folder / "blue", socket) as log, running(host, site) as proxy:
            yield Api(proxy, settings, socket, airflow, mlflow, log)


@pytest.fixture(scope="session")
def recorded(host: Host) -> Iterator[tuple[Proxy, Upstream]]:
    """nginx in front of a server that records what it receives in the place of the API."""
    with recording(host.folder / "recording.sock") as upstream, running(host, host.site(upstream.address)) as proxy:
        yield proxy, upstream


@pytest.fixture(scope="session")
def sites(api: Api) -> Path:
    """The folder of the sites, each with two pages, data and a link that leads out of it."""
    folder = api.settings.sites_dir
    for name in ("catalog", "quality"):
        (folder / name / "sub").mkdir(parents=True)
        (folder / name / "index.html").write_text(f"<h1>{name}</h1>")
        (folder / name / "sub" / "index.html").write_text("<h1>sub</h1>")
        (folder / name / "out").symlink_to("/etc")
        (folder / name / "data.json").write_text("{}" * 2_000)
    (folder / "secret.txt").write_text("secret")
    return folder
