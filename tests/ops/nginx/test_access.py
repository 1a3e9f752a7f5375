"""The sites, Airflow and MLflow behind the API's login, with the real API."""

import socket
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from infra.local.ports import choose
from tests.ops.nginx.conftest import Api
from tests.ops.nginx.proxies import USER, Host, running
from tests.ops.nginx.test_forwarding import STATUS

TOOLS = ("airflow", "mlflow")


@pytest.mark.parametrize("name", ["catalog", "quality"])
def test_a_site_is_served_by_nginx_to_those_who_may_see_it(api: Api, sites: Path, name: str) -> None:
    with api.client("lead") as lead:
        answer = lead.get(f"/{name}/")
        assert (answer.status_code, answer.text) == (200, f"<h1>{name}</h1>")
        assert lead.get(f"/{name}/sub").text == "<h1>sub</h1>"
        request_id = "served-by-nginx-1" + name
        data = lead.get(f"/{name}/data.json", headers={"X-Request-ID": request_id})
        assert (data.headers["content-type"], data.headers["content-encoding"]) == ("application/json", "gzip")
        line = api.proxy.line_of(request_id)
        assert (line["area"], line["upstream_status"]) == (name, ""), "only the question went to the API"
        assert lead.get(f"/{name}/nothing").status_code == 404
    with api.client("app") as app:
        assert app.get(f"/{name}/").status_code == 403


@pytest.mark.parametrize("path", ["out/passwd", "..%2Fsecret.txt", "%2e%2e/secret.txt", "sub/..%2F..%2Fsecret.txt"])
def test_no_path_leads_out_of_a_site(api: Api, sites: Path, path: str) -> None:
    with api.client("lead") as lead:
        answer = lead.get(f"/catalog/{path}")
    assert answer.status_code == 404
    assert "secret" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["/catalog/sub?a=b&c=d", "/quality/", "/airflow/dags?state=x&page=2", "/mlflow/"])
def test_a_browser_without_a_session_is_sent_to_the_login_and_back(api: Api, sites: Path, path: str) -> None:
    with api.client() as client:
        answer = client.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login?next=")
        form = {"username": "admin", "password": api.settings.require("admin_password")}
        form["next"] = httpx.URL(answer.headers["location"]).params["next"]
        assert client.post("/login", data=form).headers["location"] == path
    with api.proxy.client() as program:
        answer = program.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


@pytest.mark.parametrize("tool", TOOLS)
def test_only_administrators_of_the_installation_reach_the_tools(api: Api, tool: str) -> None:
    upstream = getattr(api, tool)
    before = len(upstream.heads)
    for username in ("lead", "app"):
        with api.client(username) as client:
            answer = client.get(f"/{tool}/api/v2/dags")
            assert answer.status_code == 403
            assert "administer the installation" in answer.text
            assert client.post(f"/{tool}/api/v2/dags", content=b"{}").status_code == 403
    assert len(upstream.heads) == before
    with api.client("admin") as admin:
        answer = admin.post(f"/{tool}/api/v2/dags?a=b", content=b"{}", headers={"Authorization": "Basic eDp5"})
        assert (answer.status_code, answer.text) == (200, "ok")
        assert admin.get(f"/{tool}").headers["location"] == f"/{tool}/"
    assert upstream.heads[-1].startswith(b"POST /%b/api/v2/dags?a=b HTTP/1.1\r\n" % tool.encode())
    assert upstream.bodies[-1] == b"{}"
    assert upstream.headers()["authorization"] == ["Basic eDp5"], "the tool has a login of its own"


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("count", [1, 3, 9])
def test_the_tools_get_their_own_cookies_but_not_those_of_the_api(api: Api, tool: str, count: int) -> None:
    with api.client("admin") as admin:
        session = next(iter(admin.cookies.jar)).value or ""
        admin.cookies.set("_token", "of-airflow")
        for number in range(count):
            admin.cookies.set(f"okr_session_{number}", f"of-another-installation-{number}")
        assert admin.get(f"/{tool}/").status_code == 200
    upstream = getattr(api, tool)
    head = upstream.heads[-1].decode()
    assert session not in head
    assert "okr_" not in head
    assert "of-another" not in head
    assert ("_token=of-airflow" in head) is (count + 2 <= 4)


def test_tasks_reports_cannot_be_sent_through_nginx(api: Api) -> None:
    before = len(api.airflow.heads)
    with api.client("admin") as admin:
        for path in ("execution/health", "x/../execution/health", "%65xecution/health", "/execution/health"):
            assert admin.get(f"/airflow/{path}").status_code == 404
    assert len(api.airflow.heads) == before


@pytest.mark.parametrize("path", ["/_access/administer", "/_access/see-sites", "/_problem"])
def test_internal_paths_cannot_be_called(api: Api, path: str) -> None:
    with api.client("admin") as admin:
        assert admin.get(path).status_code == 404


def test_the_right_that_is_asked_for_must_exist(api: Api) -> None:
    with api.client("admin") as admin:
        assert admin.get("/auth/access/administer").status_code == 204
        assert admin.get("/auth/access/nothing").status_code == 404
    with api.client("lead") as lead:
        assert lead.get("/auth/access/see-sites").status_code == 204
        assert lead.get("/auth/access/administer").status_code == 403


def test_a_session_ends_for_the_sites_too(api: Api, sites: Path) -> None:
    with api.client("lead") as lead:
        assert lead.get("/catalog/").status_code == 200
        assert lead.post("/logout").status_code == 303
        assert lead.get("/catalog/").status_code == 303


def test_the_api_sees_the_client_s_address_and_scheme(api: Api) -> None:
    with api.proxy.client(headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}) as client:
        form = {"username": "lead", "password": api.settings.require("lead_password")}
        answer = client.post("/login", data=form)
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("Secure" in each for each in cookies)
    assert cookies[0].startswith("__Host-okr_session_")
    with psycopg.connect(api.settings.require("dsn_owner")) as connection:
        rows = connection.execute("SELECT DISTINCT address FROM auth.audit_event WHERE address IS NOT NULL").fetchall()
    assert rows == [("127.0.0.1",)]


def test_the_api_executes_no_request_in_the_body_of_an_upgrade(api: Api) -> None:
    """C1 of the third security test, through nginx and on the real API's socket."""
    inner = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Smuggled: yes\r\n\r\n"
    head = (
        b"POST /auth/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(inner)
    )
    last = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    direct = socket.socket(socket.AF_UNIX)
    direct.connect(str(api.socket))
    for connection in (api.proxy.connect(), direct):
        with connection:
            connection.sendall(head)
            time.sleep(0.02)
            connection.sendall(inner)
            time.sleep(0.3)
            connection.sendall(last)
            received = b""
            while data := connection.recv(65_536):
                received += data
        assert STATUS.findall(received) == [b"400", b"200"], received


def test_a_login_that_cannot_be_checked_is_a_503(api: Api, sites: Path) -> None:
    current = api.socket.with_name("current.sock")
    with api.client("lead") as lead:
        current.unlink()
        try:
            for path, area in (("/catalog/", "catalog"), ("/v1/teams", "v1")):
                answer = lead.get(path, headers={"X-Request-ID": f"unreachable-0123-{area}"})
                assert (answer.status_code, answer.headers["retry-after"]) == (503 if area == "catalog" else 502, "5")
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["status"] == answer.status_code
        finally:
            current.symlink_to(api.socket.name)
        assert lead.get("/catalog/").status_code == 200


def test_prometheus_reads_the_metrics_of_the_api_by_the_name_of_its_host(api: Api, host: Host) -> None:
    """Its Host header is that of the target, such as app-1.example.org:8443."""
    names = ("okr-api", "localhost")
    internal = host.authority.issue("okr-api", names, owner=USER, is_client=True)
    prometheus = host.authority.issue("okr-monitoring", ("okr-monitoring",), is_client=True)
    port = choose(set())
    site = host.site(
        api.proxy.site.api_server, authority=api.proxy.site.authority, https_listen=(), http_listen=(),
        internal_listen=(f"127.0.0.1:{port}",), internal_certificate=internal.certificate, internal_key=internal.key,
        authority_file=host.authority.file,
    )  # fmt: skip
    context = host.context()
    context.load_cert_chain(prometheus.certificate, prometheus.key)
    headers = {"Authorization": f"Bearer {api.settings.require('metrics_token')}"}
    with running(host, site), httpx.Client(verify=context, trust_env=False, timeout=30) as client:
        answer = client.get(f"https://localhost:{port}/metrics", headers=headers)
        assert (answer.status_code, "okr_http_request_duration_seconds" in answer.text) == (200, True)
        assert client.get(f"https://localhost:{port}/metrics").status_code == 401
