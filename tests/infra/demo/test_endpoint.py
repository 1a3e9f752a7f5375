"""A service that answers late, not at all or with no JSON ends a step in words, never in a traceback of the client."""

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
    """A server on loopback; each request is answered as `answers` say, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked += 1
                service.answers[min(service.asked, len(service.answers)) - 1](self)

            do_POST = do_GET  # noqa: N815 -- the server's own naming

            def log_message(self, *_: object) -> None:
                """Say nothing."""

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
    """Close the connection without a word."""


def late(_request: BaseHTTPRequestHandler) -> None:
    """Answer after the client has given up."""
    threading.Event().wait(0.5)


def page(request: BaseHTTPRequestHandler) -> None:
    """Answer with what is no JSON."""
    send(request, b"<h1>Bad gateway</h1>")


def good(request: BaseHTTPRequestHandler) -> None:
    """Answer as the service does."""
    send(request, b'{"access_token": "token"}')


def send(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(body)


def torn(request: BaseHTTPRequestHandler) -> None:
    """Answer with less than was promised."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b"half")


def endpoint(service: Service, patience_s: float) -> Endpoint:
    return Endpoint(http_client(service.url, timeout_s=0.2), "Airflow", LOG, patience_s)


@pytest.mark.parametrize("first", [silent, late, torn])
def test_what_may_be_asked_twice_is_asked_again_while_nobody_answers(service: Service, first: Answer) -> None:
    service.answers = [first, good]
    assert endpoint(service, 30).json("GET", "/api")["access_token"] == "token"
    service.asked = 0
    with pytest.raises(StepFailed, match="Airflow did not answer POST /runs"):
        endpoint(service, 30).json("POST", "/runs")
    assert service.asked == 1, "a run must not be started twice"


@pytest.mark.parametrize(("answer", "said"), [(silent, "did not answer"), (late, "did not answer"), (page, "<h1>Bad")])
def test_a_service_that_does_not_recover_is_a_failed_step_that_names_its_log(
    service: Service, answer: Answer, said: str
) -> None:
    service.answers = [answer]
    with pytest.raises(StepFailed, match=rf"(?s){said}.*log:  service\.log"):
        endpoint(service, 0).json("GET", "/api")


def test_logging_in_to_airflow_and_to_the_api_is_a_failed_step_too(service: Service, tmp_path: Path) -> None:
    service.answers = [page]
    secret = SecretStr("secret")
    settings = Settings(
        state=tmp_path, airflow_url=service.url, api_url=service.url, airflow_password=secret, app_password=secret
    )
    with pytest.raises(StepFailed, match="Airflow answered POST /auth/token"):
        Airflow(settings)
    with pytest.raises(StepFailed, match="The API answered POST /auth/token"):
        App(settings, LOG)


@pytest.mark.parametrize("answer", [silent, torn, page])
def test_a_check_of_a_service_that_answers_with_half_or_nonsense_may_be_tried_again(
    service: Service, answer: Answer
) -> None:
    service.answers = [answer]
    with pytest.raises(RetryableError, match="does not respond"):
        http_check.get_json(service.url)
