"""Slow and broken clients on real sockets: each is cut off in time, and others are served meanwhile."""

import json
import socket
import struct
import threading
import time
from typing import Any

import httpx
import pytest

from serving.limits.slow_clients import LimitedProtocol
from tests.serving.limits.guarded_server import LATE_S, LIMITS, TRICKLE_S, Server, read_all, trickle


def test_headers_that_trickle_are_cut_off_and_others_are_served_meanwhile(server: Server) -> None:
    with server.connection() as client:
        sender = threading.Thread(
            target=trickle, args=(client, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 500)
        )
        started = time.monotonic()
        sender.start()
        assert server.get() == 200
        answer = read_all(client)
        took_s = time.monotonic() - started
        sender.join()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert LIMITS.headers_s <= took_s + 0.1 < 400 * TRICKLE_S, "long before the headers end, on a busy machine too"


def test_a_connection_that_sends_nothing_is_closed(server: Server) -> None:
    with server.connection() as client:
        started = time.monotonic()
        read_all(client)
        assert time.monotonic() - started < LATE_S


def test_a_connection_that_stays_idle_after_a_response_is_closed_and_a_busy_one_is_not(server: Server) -> None:
    with httpx.Client() as busy, server.connection() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = busy.get(f"http://127.0.0.1:{server.port}/")
        stream = first.extensions["network_stream"]
        for _ in range(8):
            time.sleep(0.1)
            answer = busy.get(f"http://127.0.0.1:{server.port}/")
            assert answer.extensions["network_stream"] is stream, "the connection was kept"
        started = time.monotonic()
        assert read_all(idle).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - started < LATE_S


@pytest.mark.parametrize("first", [b"/", b"/slow"])
def test_slow_responses_are_no_slow_clients_even_if_requests_are_pipelined(server: Server, first: bytes) -> None:
    with server.connection() as client:
        client.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % first)
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answers = read_all(client)
    assert (answers.count(b"HTTP/1.1 200 "), answers.count(b"HTTP/1.1 408 ")) == (2, 0)


def test_headers_without_end_are_refused(server: Server) -> None:
    with server.connection() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: xxxxxxxx\r\n" * 500)
        assert problem_of(read_all(client), 431) == "urn:okr:problem:headers-too-large"


@pytest.mark.parametrize(
    "sent", [b"hello\r\n\r\n", b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\n\r\n"], ids=["text", "url"]
)
def test_what_is_no_http_gets_a_problem_document(server: Server, sent: bytes) -> None:
    with server.connection() as client:
        client.sendall(sent)
        answer = read_all(client)
    status = int(answer.split()[1])
    assert problem_of(answer, status) == {
        400: "urn:okr:problem:no-http", 431: "urn:okr:problem:headers-too-large",
    }[status]  # fmt: skip


def problem_of(answer: bytes, status: int) -> str:
    """Return the type of the problem document in an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/problem+json" in head.lower()
    assert b"content-length: %d" % len(body) in head.lower()
    problem = json.loads(body)
    assert (problem["status"], bool(problem["detail"])) == (status, True)
    return str(problem["type"])


X = b"x" * 4_000
LARGE = (b"GET / HTTP/1.1\r\nX: " + X, b"GET /?%b HTTP/1.1" % X, b"GET / HTTP/1.1" + b"\r\nX:" * 1_000)


@pytest.mark.parametrize("head", LARGE, ids=["value", "target", "number"])
def test_large_headers_are_refused_also_if_they_are_complete_at_once(server: Server, head: bytes) -> None:
    with server.connection() as client:
        client.sendall(head + b"\r\nHost: localhost\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 431 ")
    assert server.get() == 200


def test_many_headers_are_refused_and_not_kept_even_if_they_have_no_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    refuse = LimitedProtocol._refuse_headers

    def count(protocol: LimitedProtocol) -> None:
        kept.append(len(protocol.headers))
        refuse(protocol)

    monkeypatch.setattr(LimitedProtocol, "_refuse_headers", count)
    for number, end in ((LIMITS.headers, b""), (500, b""), (500, b"\r\n")):
        with server.connection() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a:\r\n" * number + b"b:" + end)
            assert read_all(client).startswith(b"HTTP/1.1 431 ")
    assert kept == [LIMITS.headers + 1] * 3
    with server.connection() as client:
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + b"a:\r\n" * (LIMITS.headers - 2)
        client.sendall(head + b"\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_resets_its_connection_ends_its_pipelined_requests_quietly(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.stream_ended.clear()
    with server.connection(receive_buffer=4_096) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        client.recv(100)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert server.stream_ended.wait(5 * LATE_S)
    assert not [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def test_a_client_that_does_not_read_is_cut_off(server: Server) -> None:
    server.stream_ended.clear()
    with server.connection(receive_buffer=4_096) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert server.stream_ended.wait(5 * LATE_S)


def test_connections_beyond_the_limit_are_refused_and_accepted_again_later(server: Server) -> None:
    clients: list[Any] = []
    try:
        for _ in range(LIMITS.connections):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            clients.append(client)
        with server.connection() as extra:
            answer = read_all(extra)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1\r\n" in answer.lower()
    finally:
        for client in clients:
            client.close()
    time.sleep(0.1)
    assert server.get() == 200
