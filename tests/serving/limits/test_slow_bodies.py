"""Bodies on real sockets: slow, large and broken ones are refused in time, and others arrive whole."""

import threading
import time

from tests.serving.limits.guarded_server import BODY_LIMIT_S, LATE_S, TRICKLE_S, Server, read_all, trickle


def test_a_body_that_trickles_is_answered_with_a_problem_and_cut_off(server: Server) -> None:
    with server.connection() as client:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n"
        client.sendall(head)
        sender = threading.Thread(target=trickle, args=(client, b"x" * 499))
        started = time.monotonic()
        sender.start()
        assert server.get() == 200
        answer = read_all(client)
        took_s = time.monotonic() - started
        sender.join()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"urn:okr:problem:body-too-slow" in answer
    assert BODY_LIMIT_S <= took_s + 0.1 < 400 * TRICKLE_S, "long before the body ends, on a busy machine too"
    assert server.lines[-1].refused_by == "body-too-slow"


def test_a_body_of_many_parts_arrives_whole(server: Server) -> None:
    with server.connection() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for _ in range(5):
            client.sendall(b"3\r\nabc\r\n")
            time.sleep(0.02)
        client.sendall(b"0\r\n\r\n")
        assert read_all(client).endswith(b"15\r\n0\r\n\r\n")


def test_trailers_do_not_become_headers(server: Server) -> None:
    with server.connection() as client:
        client.sendall(
            b"POST /names HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
        )
        answer = read_all(client)
    assert b"transfer-encoding" in answer
    assert b"authorization" not in answer


def test_bodies_that_are_too_large_together_are_refused_until_the_others_have_gone(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n"
    with server.connection() as first, server.connection() as second:
        first.sendall(head + b"x" * 99_999)
        time.sleep(0.2)
        second.sendall(head + b"x" * 99_999)
        assert read_all(second).startswith(b"HTTP/1.1 503 ")
        first.sendall(b"x")
        assert read_all(first).endswith(b"100000\r\n0\r\n\r\n")
    with server.connection() as third:
        third.sendall(head + b"x" * 100_000)
        assert read_all(third).endswith(b"100000\r\n0\r\n\r\n")


def test_the_bodies_of_strangers_leave_room_for_those_of_known_callers(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: "
    from_stranger = head + b"40000\r\nAuthorization: Bearer unknown\r\n\r\n"
    with server.connection() as first, server.connection() as second, server.connection() as known:
        first.sendall(from_stranger + b"x" * 39_999)
        time.sleep(0.1)
        second.sendall(from_stranger + b"x" * 39_999)
        assert read_all(second).startswith(b"HTTP/1.1 503 ")
        known.sendall(head + b"100000\r\n\r\n" + b"x" * 100_000)
        assert read_all(known).endswith(b"100000\r\n0\r\n\r\n")
        first.sendall(b"x")
        assert read_all(first).endswith(b"40000\r\n0\r\n\r\n")


def test_a_refused_body_that_goes_on_trickling_does_not_keep_the_connection(server: Server) -> None:
    with server.connection() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n")
        sender = threading.Thread(target=trickle, args=(client, b"x" * 60))
        started = time.monotonic()
        sender.start()
        assert read_all(client).startswith(b"HTTP/1.1 413 ")
        assert time.monotonic() - started < LATE_S
        sender.join()


def test_a_client_that_leaves_in_the_middle_of_its_body_is_noted(server: Server) -> None:
    before = len(server.lines)
    with server.connection() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
    deadline = time.monotonic() + LATE_S
    while len(server.lines) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.lines[-1].status == 499
