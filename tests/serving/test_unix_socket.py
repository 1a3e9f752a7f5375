"""The UNIX socket of `okr serve --uds`: who may connect, a file that is left over, and headers of a proxy behind it."""

import grp
import http.client
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from lakehouse.errors import PermanentError
from serving.auth.client_address import ProxyHeaders, TrustedProxies
from serving.processes.unix_socket import LONGEST_PATH_BYTES, listen_on
from tests.background_logs import LOGGING_CONFIG
from tests.polling import until

FORWARDED = {"X-Forwarded-For": "1.2.3.4, 203.0.113.9", "X-Forwarded-Proto": "https"}


def test_only_the_user_and_the_group_may_connect(tmp_path: Path) -> None:
    path, group = tmp_path / "blue.sock", grp.getgrgid(os.getgid())
    mask = os.umask(0o022)
    os.umask(mask)
    with listen_on(path, group.gr_name):
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, group.gr_gid)
        assert os.umask(mask) == mask


def test_the_file_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "blue.sock"
    listen_on(path).close()
    assert path.is_socket()
    with listen_on(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_that_is_in_use_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "blue.sock"
    with listen_on(path) as first:
        with pytest.raises(PermanentError, match="Another process listens on"):
            listen_on(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            first.accept()[0].close()


@pytest.mark.parametrize("number", range(5))
def test_of_two_that_start_at_once_one_gets_the_socket(tmp_path: Path, number: int) -> None:
    path, barrier = tmp_path / f"{number}.sock", threading.Barrier(2)
    listen_on(path).close()
    results: list[object] = []

    def start() -> None:
        barrier.wait(5)
        try:
            results.append(listen_on(path))
        except PermanentError as error:
            results.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    listeners = [each for each in results if isinstance(each, socket.socket)]
    assert len(results) == 2
    assert len(listeners) == 1
    with listeners[0], socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_what_prevents_the_socket_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for path, group, reason in (
        (tmp_path / "file", None, "is not a socket"),
        (tmp_path / "missing" / "x.sock", None, "No such file or directory"),
        (tmp_path / ("x" * LONGEST_PATH_BYTES), None, "at most 107 bytes"),
        (tmp_path / "x.sock", "no-such-group", "There is no group"),
    ):
        with pytest.raises(PermanentError, match=reason):
            listen_on(path, group)
    assert (tmp_path / "file").read_text() == "precious"


@contextmanager
def echo(path: Path, trusted: str) -> Iterator[None]:
    """Serve what the application sees of its client, as `okr serve --uds` does, until the block ends."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        client = scope["client"][0] if scope["client"] else "nobody"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{client} {scope['scheme']}".encode()})

    config = uvicorn.Config(
        ProxyHeaders(app, TrustedProxies(trusted)), loop="uvloop", lifespan="off", ws="none", access_log=False,
        proxy_headers=False, log_config=LOGGING_CONFIG,
    )  # fmt: skip
    server = uvicorn.Server(config)
    with listen_on(path) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        until(lambda: server.started, "the server has started")
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(10)


def ask(path: Path) -> str:
    """Return what the application sees of a client that sends the headers of a proxy through the socket."""
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    connection.request("GET", "/", headers=FORWARDED)
    body = connection.getresponse().read().decode()
    connection.close()
    return body


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [
        ("unix", "203.0.113.9 https"),
        ("127.0.0.1, unix", "203.0.113.9 https"),
        ("127.0.0.1", "nobody http"),
        ("", "nobody http"),
    ],
)
def test_headers_of_a_proxy_behind_the_socket_are_believed_only_if_the_setting_says_so(
    tmp_path: Path, trusted: str, seen: str
) -> None:
    path = tmp_path / "api.sock"
    with echo(path, trusted):
        assert ask(path) == seen


def test_a_client_whose_address_is_unknown_is_not_a_unix_peer() -> None:
    """Because it left before uvicorn could ask for its address, for instance."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    headers = [(name.lower().encode(), value.encode()) for name, value in FORWARDED.items()]
    scope = {"type": "http", "client": None, "server": ("127.0.0.1", 80), "scheme": "http", "headers": headers}
    with pytest.raises(StopIteration):
        ProxyHeaders(app, TrustedProxies("unix"))(scope, None, None).send(None)  # type: ignore[arg-type]
    assert (seen[0]["client"], seen[0]["scheme"]) == (None, "http")
