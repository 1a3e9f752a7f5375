"""`okr up --tls`: nginx in front of the local stack, with the real Airflow and MLflow under their paths."""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from infra.local.nginx import https_url
from infra.local.services import NAMES, select
from infra.local.stack import Stack, open_stack
from infra.local.start import up
from infra.local.status import endpoints, services
from infra.local.stop import down
from infra.local.supervisor import Supervisor
from tests.ops.conftest import RequirePrograms
from tests.polling import until

STARTED = "nginx,airflow-api-server,mlflow"


@pytest.fixture(scope="module")
def stack(require_programs: RequirePrograms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with nginx, without the services that no page needs."""
    require_programs("nginx")
    state = tmp_path_factory.mktemp("tls") / "state"
    others = {"airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
    names = tuple(name for name in select(STARTED, tls=True) if name not in others)
    try:
        yield up(state, names, print, tls=True)
    finally:
        down(state, print)


@pytest.fixture
def admin(stack: Stack) -> Iterator[httpx.Client]:
    """A browser with a session of the administrator, which knows the stack's authority."""

    context = ssl.create_default_context(cafile=str(stack.state / "tls" / "ca.pem"))
    with httpx.Client(base_url=https_url(stack), verify=context, timeout=60, trust_env=False) as client:
        login = {"username": "admin", "password": stack.env["OKR_ADMIN_PASSWORD"]}
        assert client.post("/login", data=login, headers={"Origin": https_url(stack)}).status_code == 303
        yield client


def test_nginx_is_a_supervised_service_without_root_privileges(stack: Stack) -> None:
    (status,) = (each for each in services(stack) if each.name == "nginx")
    assert status.state == "RUNNING"
    assert endpoints(stack)[0].address == f"{https_url(stack)}/"
    master = psutil.Process(status.pid)
    for process in (master, *master.children()):
        assert process.name() == "nginx"
        assert process.uids().effective != 0
    listening = {each.laddr.ip for each in master.net_connections() if each.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_the_api_and_its_pages_are_served_with_secure_cookies(stack: Stack, admin: httpx.Client) -> None:
    assert admin.get("/").status_code == 200
    assert admin.get("/static/okr.css").headers["content-type"] == "text/css"
    assert all(cookie.secure for cookie in admin.cookies.jar)
    assert httpx.get(f"{stack.env['OKR_API_URL']}/livez").status_code == 200, "the API's own port stays"
    log = stack.folder("logs") / "nginx.log"  # the supervisor writes and rotates it, like those of all services
    until(lambda: '"area":"static","status":200' in log.read_text(encoding="utf-8"), "the request is logged")
    assert "start worker processes" in log.read_text(encoding="utf-8")


def scripts_of(page: httpx.Response) -> list[str]:
    """Return the absolute addresses of the scripts and style sheets of a page."""
    base = re.search(r'<base href="([^"]+)"', page.text)
    found = re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', page.text)
    return [str(page.url.join(base[1] if base else "").join(each)) for each in found]


def test_airflow_s_page_and_its_api_work_under_its_path(stack: Stack, admin: httpx.Client) -> None:
    page = admin.get("/airflow/", follow_redirects=True)
    assert page.status_code == 200, page.text
    assert page.url.path.startswith("/airflow/")
    scripts = scripts_of(page)
    assert scripts
    for address in scripts:
        assert address.startswith(f"{https_url(stack)}/airflow/")
        assert admin.get(address).status_code == 200, address
    login = {"username": "admin", "password": stack.env["OKR_AIRFLOW_PASSWORD"]}
    answer = admin.post("/airflow/auth/token", json=login)
    assert answer.status_code == 201, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert admin.get("/airflow/api/v2/dags", headers=headers).status_code == 200
    assert admin.get("/airflow/execution/health").status_code == 404


def test_mlflow_s_page_and_its_api_work_under_its_path(stack: Stack, admin: httpx.Client) -> None:
    assert admin.get("/mlflow/").status_code == 401, "MLflow has a login of its own"
    login = ("admin", stack.env["OKR_MLFLOW_PASSWORD"])
    page = admin.get("/mlflow/", auth=login)
    assert page.status_code == 200, page.text
    scripts = scripts_of(page)
    assert scripts
    for address in scripts:
        assert address.startswith(f"{https_url(stack)}/mlflow/")
        assert admin.get(address, auth=login).status_code == 200, address
    search, own = "/mlflow/ajax-api/2.0/mlflow/experiments/search", {"Origin": https_url(stack)}
    assert admin.post(search, json={"max_results": 1}, auth=login, headers=own).status_code == 200
    evil = {"Origin": "https://evil.example"}
    assert admin.post(search, json={"max_results": 1}, auth=login, headers=evil).status_code == 403


def test_a_killed_nginx_is_started_again(stack: Stack, admin: httpx.Client) -> None:
    supervisor = Supervisor(stack)
    killed = psutil.Process(supervisor.states()["nginx"]["pid"])
    workers = killed.children()
    killed.kill()

    def is_back() -> bool:
        """The workers of the killed nginx respond until the new one is prepared, which ends them first."""
        pid = supervisor.states()["nginx"]["pid"]
        return pid not in {0, killed.pid} and psutil.Process(pid).name() == "nginx"

    until(is_back, "nginx is started again")
    until(lambda: not any(worker.is_running() for worker in workers), "its old workers have ended")

    def responds() -> bool:
        try:
            return admin.get("/livez").status_code == 200
        except httpx.TransportError:
            return False

    until(responds, "the new nginx responds")


def test_tls_stays_until_it_is_turned_off(tmp_path: Path) -> None:
    state, said = tmp_path / "state", list[str]()
    try:
        assert not up(state, ("redis",), said.append).has_tls
        stack = up(state, ("redis",), said.append, tls=True)
        assert "TLS is now on: restarting the stack, because other services must know about it." in said
        assert Supervisor(stack).states().keys() == {*NAMES, "nginx"}
        assert stack.env["OKR_AIRFLOW_URL"].endswith("/airflow")
        assert stack.env["OKR_TRUSTED_PROXIES"] == "127.0.0.1"
        port = stack.port("nginx")
        said.clear()
        stack = up(state, ("redis",), said.append)
        assert (stack.has_tls, stack.port("nginx")) == (True, port)
        assert not any("restarting" in line for line in said), said
        stack = up(state, ("redis",), said.append, tls=False)
        assert Supervisor(stack).states().keys() == {*NAMES}
        assert not stack.env["OKR_TRUSTED_PROXIES"]
        assert stack.env["OKR_AIRFLOW_URL"].endswith(stack.env["OKR_PORT_AIRFLOW"])
        kept = open_stack(state)
        assert kept is not None
        assert not kept.has_tls
    finally:
        down(state, print)
