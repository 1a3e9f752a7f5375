"""Two hosts: nginx on an edge host, and on an app host whose API, Airflow and MLflow only other hosts reach."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
from pydantic import SecretStr

from infra.local.ports import choose
from lakehouse.errors import OkrError
from lakehouse.settings import Settings
from ml.champion import _NoResponseError
from tests.ops.certificates import CertificateAuthority, ServerCertificate
from tests.ops.nginx.proxies import USER, Host, Proxy, Upstream, recording, running
from tests.ops.tls.test_https import announce, find_champion, list_dags

TOOLS = ("airflow", "mlflow")
REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
VISITOR = "127.0.0.7"  # a loopback address other than that of nginx
# What the clients of Airflow and MLflow read in the responses to their requests.
ANSWER = {"access_token": "token", "dag_runs": [{}], "dags": [], "model_version": {"version": "7"}}


@dataclass(frozen=True)
class Hosts:
    """The two hosts, with recording servers in the place of the API, Airflow and MLflow on the app host."""

    edge: Proxy
    app: Proxy
    api: Upstream
    airflow: Upstream
    mlflow: Upstream

    def seen(self) -> list[int]:
        """Return how many requests the API, Airflow and MLflow got."""
        return [len(each.heads) for each in (self.api, self.airflow, self.mlflow)]


@pytest.fixture(scope="module")
def hosts(host: Host) -> Iterator[Hosts]:
    internal = host.authority.issue("okr-api", ("okr-api", "localhost"), owner=USER, is_client=True)
    service = host.authority.issue("okr-client", ("okr-client",), owner=USER, is_client=True)
    common = {
        "internal_certificate": internal.certificate, "internal_key": internal.key,
        "authority_file": host.authority.file,
    }  # fmt: skip
    address = f"localhost:{choose(set())}"
    with ExitStack() as stack:
        api = stack.enter_context(recording(host.folder / "app-api.sock"))
        airflow, mlflow = (stack.enter_context(recording()) for _ in TOOLS)
        edge = host.site(
            "unix:/nothing", api_hosts=(address,), client_certificate=service.certificate, client_key=service.key,
            **dict.fromkeys(TOOLS, f"https://{address}"), **common,
        )  # fmt: skip
        app = host.site(
            api.address, authority=edge.authority, https_listen=(), http_listen=(), airflow=f"http://{airflow.address}",
            mlflow=f"http://{mlflow.address}", internal_listen=(address.replace("localhost", "127.0.0.1"),), **common,
        )  # fmt: skip
        running_app = stack.enter_context(running(host, app))
        yield Hosts(stack.enter_context(running(host, edge)), running_app, api, airflow, mlflow)


@pytest.mark.parametrize("tool", TOOLS)
def test_people_reach_airflow_and_mlflow_of_the_app_host_through_the_edge_host(hosts: Hosts, tool: str) -> None:
    transport = httpx.HTTPTransport(verify=hosts.edge.host.context(), local_address=VISITOR)
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Remote-User": "admin", "Cookie": "okr_session_1=secret; own=1"}
    upstream: Upstream = getattr(hosts, tool)
    with httpx.Client(base_url=hosts.edge.url, transport=transport, headers=forged) as client:
        assert client.post(f"/{tool}/a%2Fb?a=b", content=b"x" * 2_000_000).text == "ok"
        assert client.get(f"/{tool}").headers["location"] == f"/{tool}/"
    assert upstream.heads[-1].startswith(b"POST /%b/a%%2Fb?a=b HTTP/1.1\r\n" % tool.encode())
    headers = upstream.headers()
    assert headers["host"] == [hosts.edge.site.authority]
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ([VISITOR], ["https"])
    assert headers["cookie"] == ["own=1"]
    assert "x-remote-user" not in headers


@pytest.mark.parametrize("path", ["/airflow/", "/mlflow/x", "/_service/airflow/x", "/x/..%2fairflow/", "//airflow/"])
def test_without_the_right_nobody_reaches_them(hosts: Hosts, path: str) -> None:
    plain, before = hosts.api.answer, hosts.seen()
    hosts.api.answer = REFUSED
    try:
        with hosts.edge.client() as client:
            assert client.get(hosts.edge.url + path).status_code in {401, 404}
    finally:
        hosts.api.answer = plain
    assert hosts.seen()[1:] == before[1:]


def certificate_of(host: Host, name: str) -> ServerCertificate | None:
    match name:
        case "none":
            return None
        case "foreign":
            return CertificateAuthority(host.folder / "other").issue("okr-api", ("okr-api",), is_client=True)
        case _:
            return host.authority.issue(name, (name,), is_client=True)


COMMA = "x,CN=okr-api"  # nginx sees CN=x\,CN=okr-api


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("okr-api", "/livez", 200), ("okr-api", "/airflow/x", 200), ("okr-api", "/_service/airflow/x", 404),
        ("okr-client", "/livez", 403), ("okr-client", "/auth/token", 403), ("okr-client", "/airflow/x", 200),
        ("okr-client", "/mlflow/x", 200), ("okr-client", "/airflow/execution/health", 404),
        ("okr-monitoring", "/metrics", 200), ("okr-monitoring", "/livez", 403), ("okr-monitoring", "/airflow/x", 403),
        ("okr-client", "/metrics", 403), ("okr-api", "/_monitoring/metrics", 404),
        ("okr-client", "/airflow/../livez", 403), ("okr-client", "/_service/airflow/x", 403),
        *((name, path, 403) for name in ("okr-landing", COMMA) for path in ("/livez", "/airflow/", "/mlflow/")),
        *((name, path, 400) for name in ("none", "foreign") for path in ("/livez", "/airflow/", "/mlflow/")),
    ],
)  # fmt: skip
def test_the_certificate_decides_what_another_host_reaches(
    host: Host, hosts: Hosts, name: str, path: str, status: int
) -> None:
    before, context = hosts.seen(), host.context()
    if (issued := certificate_of(host, name)) is not None:
        context.load_cert_chain(issued.certificate, issued.key)
    with (
        socket.create_connection(("127.0.0.1", hosts.app.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="okr-api") as tls,
    ):
        tls.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = tls.recv(4_096)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    reached = [0, 0, 0]
    if status == 200:
        reached[0 if name in {"okr-api", "okr-monitoring"} else 1 + TOOLS.index(path.split("/")[1])] = 1
    assert hosts.seen() == [each + more for each, more in zip(before, reached, strict=True)]


@pytest.fixture
def answering(hosts: Hosts) -> Iterator[None]:
    """Let Airflow and MLflow answer every request with what their clients read."""
    body = json.dumps(ANSWER).encode()
    plain = hosts.airflow.answer
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    hosts.airflow.answer = hosts.mlflow.answer = head + body
    yield
    hosts.airflow.answer = hosts.mlflow.answer = plain


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize(("act", "tool"), [(announce, "airflow"), (list_dags, "airflow"), (find_champion, "mlflow")])
def test_services_of_another_host_reach_them_with_a_certificate(
    host: Host, hosts: Hosts, act: Callable[[Settings], object], tool: str
) -> None:
    issued = host.authority.issue("okr-client", ("okr-client",), is_client=True)
    url = f"https://localhost:{hosts.app.port}"
    without = Settings(
        ca_file=str(host.authority.file), airflow_url=f"{url}/airflow", mlflow_url=f"{url}/mlflow",
        airflow_serving_password=SecretStr("password"),
    )  # fmt: skip
    key = SecretStr(issued.key.read_text(encoding="utf-8"))
    assert act(without.model_copy(update={"client_certificate": str(issued.certificate), "client_key": key}))
    upstream: Upstream = getattr(hosts, tool)
    assert upstream.heads[-1].split()[1].startswith(f"/{tool}/api/".encode())
    assert upstream.headers()["host"] == [hosts.edge.site.authority], "MLflow refuses names that it does not know"
    before = hosts.seen()
    with pytest.raises((OkrError, _NoResponseError)):
        act(without)
    assert hosts.seen() == before
