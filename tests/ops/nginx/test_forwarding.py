"""What of a request reaches the upstream: forged headers, smuggled requests, limits, and what nginx logs of it."""

import re
import threading
import time
from collections import Counter
from dataclasses import replace

import httpx
import pytest

from infra.nginx.site import UNTRUSTED_HEADERS
from tests.ops.nginx.proxies import Host, Proxy, Upstream, recording, running
from tests.polling import until

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
NAME, EMAIL, SECRET = "Aurelia-Planted", "aurelia.planted@example.org", "planted.secret-5up3r"


def exchange(proxy: Proxy, *parts: bytes, pause_s: float = 0.02) -> list[int]:
    """Send the parts of a request one after another; return the statuses of all responses until the end."""
    received = b""
    with proxy.connect() as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:  # nginx has already refused the first part
                break
            time.sleep(pause_s)
        try:
            while data := connection.recv(65_536):
                received += data
                connection.settimeout(0.3)  # for a response that must not follow
        except (TimeoutError, ConnectionResetError):
            pass
    return [int(status) for status in STATUS.findall(received)]


def test_forged_headers_do_not_reach_the_api(recorded: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = recorded
    forged = dict.fromkeys(UNTRUSTED_HEADERS, "evil") | {
        "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Request-ID": "evil",
        "X_Forwarded_For": "203.0.113.9", "Connection": "X-Request-ID",
    }  # fmt: skip
    with proxy.client(headers=forged) as client:
        assert client.get("/v1/teams").text == "ok"
    headers = upstream.headers()
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == (["127.0.0.1"], ["https"])
    assert headers["host"] == [proxy.site.authority]
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"][0])
    text = upstream.heads[-1].lower()
    assert b"evil" not in text
    assert b"203.0.113.9" not in text
    assert not {name.lower() for name in UNTRUSTED_HEADERS} & headers.keys()


def test_an_upgrade_is_not_passed_on_and_the_body_stays_a_body(recorded: tuple[Proxy, Upstream]) -> None:
    """The smuggling of the third security test: an upstream that accepts the upgrade would execute the body."""
    proxy, upstream = recorded
    inner = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Smuggled: yes\r\n\r\n"
    for offer in (b"h2c", b"websocket"):
        before = len(upstream.heads)
        head = (
            b"POST /auth/refresh HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: %b\r\n"
            b"Content-Length: %d\r\n\r\n" % (offer, len(inner))
        )
        assert exchange(proxy, head, inner) == [200]
        assert len(upstream.heads) == before + 1
        assert upstream.bodies[-1] == inner
        assert "upgrade" not in upstream.headers()
        assert upstream.headers().get("connection", ["close"]) == ["close"]


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5, 6",
        b"Content-Length: +5",
        b"Content-Length : 5",
        b"Content-Length: 0x5",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding:\x0bchunked",
    ],
)
def test_a_request_whose_end_is_ambiguous_is_refused(recorded: tuple[Proxy, Upstream], framing: bytes) -> None:
    proxy, upstream = recorded
    head = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n\r\n" % framing
    before = len(upstream.heads)
    for statuses in (exchange(proxy, head + b"0\r\n\r\n" + SMUGGLED), exchange(proxy, head, b"0\r\n\r\n" + SMUGGLED)):
        assert statuses[0] in {400, 501}
        assert len(statuses) == 1, "the connection is closed"
    assert len(upstream.heads) == before


def test_a_chunked_body_arrives_with_its_length(recorded: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = recorded
    head = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    assert exchange(proxy, head, chunks) == [200]
    assert upstream.bodies[-1] == SMUGGLED
    assert upstream.headers()["content-length"] == [str(len(SMUGGLED))]
    assert "transfer-encoding" not in upstream.headers()


def test_a_path_reaches_the_api_as_it_was_sent(recorded: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = recorded
    for path in (b"/v1/key-results/a%2Fb%20c", b"/v1//x/../y?a=%2e", b"/v1/x/..%2fairflow/"):
        assert exchange(proxy, b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % path) == [200]
        assert upstream.heads[-1].startswith(b"GET %b HTTP/1.1\r\n" % path)


def test_limits_of_size_are_those_of_the_api(recorded: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = recorded
    largest = 1_048_576
    with proxy.client() as client:
        assert client.post("/v1/events", content=b"x" * largest).status_code == 200
        assert len(upstream.bodies[-1]) == largest
        before = len(upstream.heads)
        refused = client.post("/v1/events", content=b"x" * (largest + 1))
        assert refused.status_code == 413
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json() == {
            "type": "about:blank", "status": 413, "request_id": refused.headers["x-request-id"],
            "detail": "The body is too large; split the content into several requests.",
        }  # fmt: skip
        assert client.get(f"/v1/teams?x={'y' * 60_000}").status_code == 414
        assert len(upstream.heads) == before
        # What the API itself refuses reaches it.
        assert client.get(f"/v1/teams?x={'y' * 33_000}", headers={"Authorization": "z" * 20_000}).status_code == 200


def test_a_slow_head_and_a_slow_body_keep_no_connection_of_the_api(recorded: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = recorded
    before, started = len(upstream.heads), time.monotonic()
    head = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n"
    results: list[bytes] = []

    def wait(part: bytes) -> None:
        with proxy.connect() as connection:
            connection.sendall(part)
            results.append(connection.recv(4_096))

    threads = [threading.Thread(target=wait, args=(part,)) for part in (head[:20], head + b"x")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 9 < time.monotonic() - started < 15
    assert results == [b"", b""], "nginx closes the connections"
    assert len(upstream.heads) == before


def test_too_many_requests_and_connections_of_an_address_are_refused(host: Host) -> None:
    path = host.folder / "limited.sock"
    with recording(path) as upstream:
        site = replace(host.site(upstream.address), requests_per_second=20, connections_per_address=5)
        with running(host, site) as proxy, proxy.client() as client:
            statuses = [client.get("/livez").status_code for _ in range(80)]
            assert set(statuses) == {200, 429}
            assert statuses[:41] == [200] * 41, "a burst of twice the rate is allowed"
            refused = next(answer for answer in (client.get("/livez") for _ in range(9)) if answer.status_code == 429)
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["status"] == 429
            time.sleep(1.5)
            upstream.answer = b""  # from now on, requests wait
            codes: Counter[int] = Counter()

            def ask() -> None:
                try:
                    codes[httpx.get(f"{proxy.url}/v1/x", verify=host.context(), timeout=1.5).status_code] += 1
                except httpx.TimeoutException:
                    codes[0] += 1

            threads = [threading.Thread(target=ask) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert codes == {0: 5, 429: 3}
            limits = Counter((line["limit_req"], line["limit_conn"]) for line in proxy.log() if line["status"] == 429)
            assert limits[("PASSED", "REJECTED")] == 3
            assert limits[("REJECTED", "")] >= 30


def test_no_log_of_nginx_contains_what_callers_send(host: Host) -> None:
    path = host.folder / "logged.sock"
    with recording(path) as upstream, running(host, host.site(upstream.address)) as proxy, proxy.client() as client:
        headers = {
            "X-Request-ID": NAME, "User-Agent": EMAIL, "Referer": f"https://x.example/{NAME}", "Authorization": SECRET,
            "Cookie": f"okr_session_1={SECRET}", "X-Forwarded-For": NAME,
        }  # fmt: skip
        for method, target in (
            ("GET", f"/v1/users/{EMAIL}/activity"), ("GET", f"/{NAME}/{EMAIL}"), (NAME.upper(), "/v1/x"),
            ("GET", f"/v1/teams?team={NAME}"), ("POST", f"/static/{NAME}"), ("GET", f"/static/{EMAIL}"),
            ("GET", f"/catalog/{NAME}"), ("GET", f"/v1/{NAME}?{'y' * 60_000}"),
        ):  # fmt: skip
            client.request(method, target, headers=headers)
        exchange(proxy, f"GET /{NAME} HTTP/1.1\r\nHost: {EMAIL}\r\nHost: x\r\n\r\n".encode())
        exchange(proxy, f"{NAME}\r\n\r\n".encode())
        upstream.answer = f"HTTP/1.1 200 OK\r\nX: \0{NAME} {EMAIL}\r\n\r\n".encode()  # an invalid header
        assert client.get(f"/v1/users/{EMAIL}", headers=headers).status_code == 502
        path.unlink()
        assert client.get(f"/v1/users/{EMAIL}", headers=headers).status_code == 502
        until(lambda: len(proxy.log()) >= 12, "nginx has logged the last requests, which it does after it has answered")
        lines = proxy.log()
        assert {line["area"] for line in lines} >= {"v1", "static", "catalog", "other"}
        text = "".join(each.read_text(encoding="utf-8") for each in (proxy.site.access_log, proxy.site.error_log))
        for value in (NAME, EMAIL, SECRET, NAME.upper(), "127.0.0.1", "x.example"):
            assert value.lower() not in text.lower(), value


def test_a_line_says_what_happened_to_a_request(recorded: tuple[Proxy, Upstream]) -> None:
    proxy, upstream = recorded
    request_id = "abcdefgh-01234567"
    with proxy.client(headers={"X-Request-ID": request_id}) as client:
        answer = client.post("/predict", content=b"xyz")
    assert answer.headers.get_list("x-request-id") == [request_id]
    assert upstream.headers()["x-request-id"] == [request_id]
    line = proxy.line_of(request_id)
    assert (line["method"], line["area"], line["status"], line["upstream_status"]) == ("POST", "predict", 200, "200")
    assert (line["protocol"], line["tls"], line["service"]) == ("HTTP/1.1", "TLSv1.3", "nginx")
    assert line["upstream"] == upstream.address
    assert line["took_s"] >= 0
    assert line["sent_bytes"] > 2
