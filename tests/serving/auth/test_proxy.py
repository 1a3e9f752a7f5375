"""A proxy in front of the API, at an address that is configured, and a client that sends the proxy's headers itself."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from serving.auth.auth_services import Auth
from tests.serving.auth.conftest import PASSWORD, new_account
from tests.serving.live_server import Api, serving

PROXY, CLIENT = "127.0.0.2", "127.0.0.3"  # every address of 127.0.0.0/8 is this host
SPOOFED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@contextmanager
def proxy(port: int, scheme: str) -> Iterator[str]:
    """Forward requests as nginx does with proxy_add_x_forwarded_for, and return the proxy's URL."""

    class Forward(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            before = self.headers.get("X-Forwarded-For")
            headers = {name: value for name, value in self.headers.items() if not name.startswith("X-Forwarded")}
            headers["X-Forwarded-For"] = ", ".join(filter(None, [before, self.client_address[0]]))
            headers["X-Forwarded-Proto"] = scheme
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=20, source_address=(PROXY, 0))
            upstream.request("POST", self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        def log_request(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture(scope="module")
def behind(running_api: Api) -> Iterator[Api]:
    """The application, which believes this one proxy."""
    with serving(running_api.settings.model_copy(update={"trusted_proxies": PROXY})) as api:
        yield api


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_client_s_address_and_scheme_are_those_that_the_configured_proxy_saw(
    behind: Api, auth: Auth, scheme: str
) -> None:
    username = f"behind-{scheme}"
    new_account(auth, username)
    with proxy(behind.client.base_url.port or 0, scheme) as url:
        answer = log_in_from(CLIENT, url, username)
    assert answer.status_code == 303
    assert {"Secure" in each for each in answer.headers.get_list("set-cookie")} == {scheme == "https"}
    assert auth.known_clients.is_known_address(username, CLIENT)
    assert not auth.known_clients.is_known_address(username, "203.0.113.9")


def test_a_client_that_sends_the_headers_of_a_proxy_is_not_believed(behind: Api, auth: Auth) -> None:
    new_account(auth, "direct")
    answer = log_in_from(CLIENT, str(behind.client.base_url), "direct")
    assert {"Secure" in each for each in answer.headers.get_list("set-cookie")} == {False}
    assert auth.known_clients.is_known_address("direct", CLIENT)
    assert not auth.known_clients.is_known_address("direct", "203.0.113.9")


def log_in_from(address: str, url: str, username: str) -> httpx.Response:
    """Log in from an address of this host, with headers that claim another one."""
    with httpx.Client(base_url=url, transport=httpx.HTTPTransport(local_address=address)) as client:
        return client.post("/login", data={"username": username, "password": PASSWORD}, headers=SPOOFED)
