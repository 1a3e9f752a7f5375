"""A service that responds late, not at all or without JSON fails a step with a message, never with a traceback."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from infra.demo.airflow_client import Airflow
from infra.demo.api_client import App
from infra.demo.endpoint import Endpoint
from infra.demo.errors import StepFailed
from infra.local import http_check
from lakehouse.errors import RetryableError
from lakehouse.http_client import http_client
from lakehouse.settings import Settings

LOG = Path("service.log")
Answer = Callable[[BaseHTTPRequestHandler], None]


class Service:
    """A server on loopback. Each request gets the next response of `answers`, and the last one from then on."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.requests += 1
                service.answers[min(service.requests, len(service.answers)) - 1](self)

            do_POST = do_GET  # noqa: N815 -- the server's own naming

            def log_message(self, *_: object) -> None:
                """Do not log requests."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.server.serve_forever)
    thread.start()
    yield service
    service.server.shutdown()
    thread.join()
    service.server.server_close()


def silent(_request: BaseHTTPRequestHandler) -> None:
    """Close the connection without a response."""


def late(_request: BaseHTTPRequestHandler) -> None:
    """Respond after the client's timeout."""
    threading.Event().wait(0.5)


def page(request: BaseHTTPRequestHandler) -> None:
    """Respond with HTML."""
    send(request, b"<h1>Bad gateway</h1>")


def good(request: BaseHTTPRequestHandler) -> None:
    """Respond like a healthy service."""
    send(request, b'{"access_token": "token"}')


def send(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(body)


def truncated(request: BaseHTTPRequestHandler) -> None:
    """Respond with less than Content-Length says."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b"half")


def endpoint(service: Service, retry_limit_s: float) -> Endpoint:
    return Endpoint(http_client(service.url, timeout_s=0.2), "Airflow", LOG, retry_limit_s)


@pytest.mark.parametrize("first", [silent, late, truncated])
def test_a_repeatable_request_is_retried_until_the_service_responds(service: Service, first: Answer) -> None:
    service.answers = [first, good]
    assert endpoint(service, 30).json("GET", "/api")["access_token"] == "token"
    service.requests = 0
    with pytest.raises(StepFailed, match="Airflow did not respond to POST /runs"):
        endpoint(service, 30).json("POST", "/runs")
    assert service.requests == 1, "a run must not be started twice"


@pytest.mark.parametrize(
    ("answer", "said"), [(silent, "did not respond"), (late, "did not respond"), (page, "<h1>Bad")]
)
def test_a_service_that_does_not_recover_fails_the_step_with_its_log(
    service: Service, answer: Answer, said: str
) -> None:
    service.answers = [answer]
    with pytest.raises(StepFailed, match=rf"(?s){said}.*log:  service\.log"):
        endpoint(service, 0).json("GET", "/api")


def test_a_failed_login_to_airflow_or_the_api_fails_the_step(service: Service, tmp_path: Path) -> None:
    service.answers = [page]
    secret = SecretStr("secret")
    settings = Settings(
        state=tmp_path, airflow_url=service.url, api_url=service.url, airflow_password=secret, app_password=secret
    )
    with pytest.raises(StepFailed, match="Airflow responded to POST /auth/token"):
        Airflow(settings)
    with pytest.raises(StepFailed, match="The API responded to POST /auth/token"):
        App(settings, LOG)


@pytest.mark.parametrize("answer", [silent, truncated, page])
def test_a_health_check_with_an_invalid_response_may_be_retried(service: Service, answer: Answer) -> None:
    service.answers = [answer]
    with pytest.raises(RetryableError, match="does not respond"):
        http_check.get_json(service.url)
