"""The values of nginx's configuration on a server, and what nginx must not get."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from infra.nginx import site as module
from infra.nginx.server_site import server_site
from infra.nginx.site import configuration, web_folder
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from serving.http.request_guard import RequestGuard
from serving.limits.rate_limit_enforcement import Charge

SERVER = Settings(
    api_url="https://okr.example.org",
    airflow_url="http://127.0.0.1:8080/airflow",
    mlflow_url="http://127.0.0.1:5000/mlflow",
    sites_dir=Path("/var/lib/okr/sites"),
)


def test_a_server_has_the_standard_ports_the_socket_s_link_and_both_tools() -> None:
    site = server_site(SERVER)
    assert (site.authority, site.host) == ("okr.example.org", "okr.example.org")
    assert site.https_listen[0] == "443"
    text = configuration(site)
    assert "server unix:/run/okr/api/current.sock max_fails=0;" in text
    assert "return 308 https://okr.example.org$request_uri;" in text
    assert '"~^okr[.]example[.]org/" 1;' in text
    assert "proxy_pass http://127.0.0.1:8080;" in text
    assert "proxy_pass http://127.0.0.1:5000;" in text
    assert "user www-data;" in text


def test_without_airflow_and_mlflow_their_paths_go_to_the_api() -> None:
    text = configuration(server_site(SERVER.model_copy(update={"airflow_url": "", "mlflow_url": ""})))
    assert "location /airflow/" not in text
    assert "location /mlflow/" not in text


def test_with_several_hosts_requests_are_balanced_over_verified_connections() -> None:
    several = {"proxy_hosts": "app1:8443, app2:8443", "proxy_internal_port": 8443, "ca_file": "/etc/okr/tls/ca.pem"}
    site = server_site(SERVER.model_copy(update=several))
    text = configuration(site)
    assert "server app1:8443 max_fails=1 fail_timeout=10s;" in text
    assert "proxy_pass https://okr_api;" in text
    assert "proxy_pass http://okr_api;" not in text
    assert text.count("proxy_ssl_verify on;") == text.count("proxy_pass https://okr_api")
    assert "ssl_verify_client on;" in text


def test_all_errors_of_the_settings_are_named_together() -> None:
    wrong = {
        "api_url": "http://okr.example.org", "airflow_url": "http://127.0.0.1:8080", "mlflow_url": "ftp://x/mlflow",
        "proxy_hosts": "app1:8443,app2; evil", "proxy_public": False,
    }  # fmt: skip
    with pytest.raises(PermanentError) as error:
        server_site(SERVER.model_copy(update=wrong))
    lines = str(error.value).splitlines()
    assert len(lines) == 7
    names = ("API_URL", "AIRFLOW_URL", "MLFLOW_URL", "PROXY_HOSTS", "CA_FILE", "PROXY_PUBLIC")
    for name, line in zip(names, lines[1:], strict=True):
        assert f"OKR_{name}" in line


@pytest.mark.parametrize(
    "url",
    [
        "https://okr.example.org/path",
        "https://",
        "https://evil;.example",
        "https://me@okr.example.org",
        "https://x:99999",
        "",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(PermanentError, match="OKR_API_URL"):
        server_site(SERVER.model_copy(update={"api_url": url}))


@pytest.mark.parametrize("path", ["/srv/$host", "/srv/a\nb", "/srv/\x7f"])
def test_a_path_that_nginx_would_interpret_is_refused(path: str) -> None:
    with pytest.raises(PermanentError, match="Rename it"):
        configuration(replace(server_site(SERVER), sites_folder=Path(path)))


def test_a_strange_path_stays_one_word() -> None:
    text = configuration(replace(server_site(SERVER), sites_folder=Path('/srv/a "b" \\ c; d')))
    assert 'root "/srv/a \\"b\\" \\\\ c; d";' in text


def test_static_files_are_those_of_the_serving_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (web_folder() / "static" / "okr.css").is_file()
    release = tmp_path / "releases" / "1.2" / ".venv" / "lib" / "infra" / "__init__.py"
    monkeypatch.setattr(module, "RELEASES", tmp_path / "releases")
    monkeypatch.setattr(module.infra, "__file__", str(release))
    assert web_folder() == tmp_path / "serving" / ".venv" / "lib" / "serving" / "web"


def test_no_block_of_the_configuration_lacks_its_security_headers() -> None:
    """A location with headers of its own inherits none, so each must have them all."""
    blocks = configuration(server_site(SERVER)).split("        location ")[1:]
    assert len([block for block in blocks if "add_header" in block]) == 8
    for block in blocks:
        if "add_header" not in block:  # a question to the API, a redirect, or a challenge: no page of ours
            continue
        assert block.count("add_header Strict-Transport-Security") == 1, block
        assert block.count("add_header X-Request-ID") == 1, block


@pytest.mark.parametrize(("host", "status"), [("set by nginx", 200), ("app-1.example.org:8443", 400)])
def test_the_api_accepts_the_host_header_with_which_prometheus_reaches_it(host: str, status: int) -> None:
    """Prometheus sends the name of the app host. The guard of the API accepts only that of OKR_API_URL."""
    site = server_site(
        SERVER.model_copy(update={"proxy_public": False, "proxy_internal_port": 8443, "ca_file": "/etc/okr/tls/ca.pem"})
    )
    block = configuration(site).partition("location = /_monitoring/metrics {")[2].partition("}")[0]
    sent = block.partition("proxy_set_header Host ")[2].partition(";")[0] if host == "set by nginx" else host
    assert answered(SERVER.api_url, sent) == status


def answered(api_url: str, host: str) -> int:
    """Return the status of GET /metrics behind the guard."""
    statuses: list[int] = []

    async def metrics(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("metrics")(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if message["type"] == "http.response.start" else [])

    def admit(*_: object) -> Charge:
        raise AssertionError("/metrics has no rate limit")

    guard = RequestGuard(metrics, api_url=api_url, admit=admit, observe=lambda *_: None, log=lambda _: None)
    scope = {
        "type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "client": None,
        "headers": [(b"host", host.encode())],
    }  # fmt: skip
    asyncio.run(guard(scope, receive, send))
    return statuses[0]
