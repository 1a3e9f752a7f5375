"""A client may offer another protocol. The offer is ignored, and its request is one request (no request smuggling)."""

import re
import socket
import time

import pytest

from tests.serving.limits.guarded_server import LIMITS, Server, read_all

SMUGGLED = b"GET /names HTTP/1.1\r\nHost: localhost\r\n\r\n"
OFFERS = ("Upgrade: h2c", "Upgrade: websocket\r\nSec-WebSocket-Key: x", "Upgrade: TLS/1.0", "upgrade: x, WebSocket")
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
LAST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def head_of(method: str, offer: str, framing: str, connection: str = "Upgrade") -> bytes:
    lines = (f"{method} / HTTP/1.1", "Host: localhost", f"Connection: {connection}", offer, framing)
    return "\r\n".join([*filter(None, lines), "\r\n"]).encode()


def statuses_and_bodies(client: socket.socket) -> list[tuple[bytes, bytes]]:
    """The statuses of the answers, and their bodies, each of which is one chunk."""
    return re.findall(rb"HTTP/1\.1 (\d+) .*?\r\n\r\n[0-9a-f]+\r\n(.*?)\r\n0\r\n\r\n", read_all(client), re.DOTALL)


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_body_after_an_upgrade_is_a_body(server: Server, method: str, offer: str, pause_s: float) -> None:
    head = head_of(method, offer, f"Content-Length: {len(SMUGGLED)}", "keep-alive, Upgrade")
    assert answers_to(server, head, SMUGGLED, pause_s) == [(b"200", b"%d" % len(SMUGGLED)), (b"200", b"0")]


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
def test_a_chunked_body_after_an_upgrade_is_a_body(server: Server, pause_s: float) -> None:
    head = head_of("POST", OFFERS[0], "Transfer-Encoding: chunked")
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    assert answers_to(server, head, chunks, pause_s) == [(b"200", b"%d" % len(SMUGGLED)), (b"200", b"0")]


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
@pytest.mark.parametrize("number", [1, 20])
def test_requests_with_an_upgrade_can_be_pipelined(server: Server, number: int, pause_s: float) -> None:
    first = head_of("GET", OFFERS[0], "")
    posts = (head_of("POST", OFFERS[1], "Content-Length: 40") + SMUGGLED[:40]) * number
    assert answers_to(server, first, posts, pause_s) == [(b"200", b"0"), *[(b"200", b"40")] * number, (b"200", b"0")]


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
@pytest.mark.parametrize(
    "head",
    [
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["CONNECT", "HTTP/2"],
)
def test_tunnels_and_other_versions_are_refused_and_the_connection_is_closed(
    server: Server, head: bytes, pause_s: float
) -> None:
    with server.connection() as client:
        send(client, head, SMUGGLED, pause_s)
        answer = read_all(client)
    assert STATUS.findall(answer) == [b"400"]


def test_an_upgrade_does_not_lift_the_limits_of_headers(server: Server) -> None:
    head = head_of("POST", OFFERS[0], "X: y\r\n" * LIMITS.headers + f"Content-Length: {len(SMUGGLED)}")
    with server.connection() as client:
        send(client, head, SMUGGLED, 0.0)
        answer = read_all(client)
    assert STATUS.findall(answer) == [b"431"]


def answers_to(server: Server, head: bytes, body: bytes, pause_s: float) -> list[tuple[bytes, bytes]]:
    with server.connection() as client:
        send(client, head, body + LAST, pause_s)
        return statuses_and_bodies(client)


def send(client: socket.socket, head: bytes, rest: bytes, pause_s: float) -> None:
    """Send the head and the rest, at once or in two parts."""
    if pause_s:
        client.sendall(head)
        time.sleep(pause_s)
        client.sendall(rest)
    else:
        client.sendall(head + rest)
