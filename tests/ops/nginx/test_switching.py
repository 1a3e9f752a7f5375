"""Blue and green: the socket is switched under load without a failed request. Several hosts, one of which is dead."""

import http.client
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local.ports import choose
from tests.figures import report
from tests.ops.nginx.conftest import Api, serving_api
from tests.ops.nginx.proxies import USER, Host, Proxy, Upstream, recording, running

SWITCHES, LOAD_S = 20, 5


def switch(link: Path, target: str) -> None:
    """Let a link name another socket, as `okr deploy` does."""
    new = link.with_name("new.sock")
    new.symlink_to(target)
    new.rename(link)


@contextmanager
def posting(proxy: Proxy) -> Iterator[Counter[str]]:
    """Send POST requests on one connection, as long as the block runs; yield the counts of what came back."""
    stop, seen = threading.Event(), Counter[str]()

    def post() -> None:
        connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=proxy.host.context(), timeout=30)
        while not stop.is_set():
            try:
                connection.request(
                    "POST", "/predict", b'{"key_result_ids": ["x"]}', {"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                answer.read()
                seen["answered" if answer.status in {401, 429} else str(answer.status)] += 1
            except (OSError, http.client.HTTPException) as error:
                seen[repr(error)] += 1
                connection.close()
        connection.close()

    threads = [threading.Thread(target=post) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join(40)


def test_20_switches_between_two_releases_under_load_fail_no_request(host: Host, api: Api) -> None:
    green, link = api.socket.with_name("green.sock"), api.socket.with_name("switched.sock")
    link.symlink_to(api.socket.name)
    # The limit of requests is that of one client with the plan `service`, which wrk exceeds.
    site = replace(host.site(f"unix:{link}"), requests_per_second=100_000)
    with serving_api(api.settings, host.folder / "green", green) as log, running(host, site) as proxy:
        command = ["wrk", "-t1", "-c16", f"-d{LOAD_S}s", f"{proxy.url}/livez"]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with posting(proxy) as seen:
            for number in range(SWITCHES):
                time.sleep((LOAD_S - 1.5) / SWITCHES)
                switch(link, api.socket.name if number % 2 else green.name)
            output, _ = load.communicate(timeout=60)
    requests = int(re.findall(r"(\d+) requests in", output)[0])
    assert "Socket errors" not in output, output
    assert "Non-2xx" not in output, output
    assert requests > 500
    assert seen.keys() == {"answered"}, seen
    statuses = {line["status"] for line in proxy.log()}
    assert statuses <= {200, 401, 429, 499}  # 429: the limit of the API; 499: the requests at the end of wrk
    assert all('"route":"/livez"' in log.read_text(encoding="utf-8") for log in (log, api.log)), "both answered"
    report(
        "nginx: switches of the API's socket under load",
        ("requests", "number", "failed"),
        [("GET, wrk, 16 connections", f"{requests:,}", "0"), ("POST, 2 connections", f"{seen['answered']:,}", "0")],
        f"{SWITCHES} switches between two running `okr serve --uds` in {LOAD_S} s, by renaming a link.",
    )


@pytest.fixture(scope="module")
def hosts(host: Host) -> Iterator[tuple[Proxy, Proxy, Upstream, Upstream]]:
    """Two hosts, each with an internal listener and an API. The first balances between both and a dead one."""
    internal = host.authority.issue("okr-api", ("okr-api",), owner=USER, is_client=True)
    ports, dead = [choose(set()) for _ in range(2)], choose(set())
    with ExitStack() as stack:
        upstreams = [stack.enter_context(recording(host.folder / f"host-{number}.sock")) for number in range(2)]
        proxies = []
        for number, upstream in enumerate(upstreams):
            site = replace(
                host.site(upstream.address),
                internal_listen=(f"127.0.0.1:{ports[number]}",),
                internal_certificate=internal.certificate,
                internal_key=internal.key,
                authority_file=host.authority.file,
                api_hosts=(*(f"127.0.0.1:{port}" for port in ports), f"127.0.0.1:{dead}") if number == 0 else (),
            )
            proxies.append(stack.enter_context(running(host, site)))
        yield proxies[0], proxies[1], upstreams[0], upstreams[1]


def test_requests_are_balanced_and_a_dead_host_costs_none(hosts: tuple[Proxy, Proxy, Upstream, Upstream]) -> None:
    proxy, _, first, second = hosts
    before = len(first.heads), len(second.heads)
    with proxy.client() as client:
        statuses = Counter(client.post("/v1/events", content=b"x").status_code for _ in range(40))
    assert statuses == {200: 40}
    got = len(first.heads) - before[0], len(second.heads) - before[1]
    assert sum(got) == 40
    assert min(got) >= 15
    tried = Counter(len(line["upstream"].split(", ")) for line in proxy.log())
    assert 1 <= tried[2] <= 3, "the dead host is tried once by each worker, then not for 10 s"


def test_the_internal_listener_passes_on_what_the_first_nginx_says_of_the_client(
    hosts: tuple[Proxy, Proxy, Upstream, Upstream],
) -> None:
    proxy, _, first, second = hosts
    request_id = "two-proxies-01234567"
    with proxy.client(headers={"X-Forwarded-For": "203.0.113.9", "X-Request-ID": request_id}) as client:
        for _ in range(4):
            assert client.get("/v1/teams").headers.get_list("x-request-id") == [request_id]
    for upstream in (first, second):
        headers = upstream.headers()
        assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == (["127.0.0.1"], ["https"])
        assert (headers["x-request-id"], headers["host"]) == ([request_id], [proxy.site.authority])


def test_a_request_that_kills_the_process_of_every_host_does_not_stop_the_others(
    hosts: tuple[Proxy, Proxy, Upstream, Upstream],
) -> None:
    proxy, *_ = hosts
    with proxy.client() as client:
        answer = client.get("/fatal")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert answer.headers["retry-after"] == "5"
        statuses = Counter(client.get("/livez").status_code for _ in range(50))
    assert statuses == {200: 50}


def test_a_host_whose_api_does_not_run_costs_no_request(hosts: tuple[Proxy, Proxy, Upstream, Upstream]) -> None:
    proxy, _, first, second = hosts
    before = len(first.heads), len(second.heads)
    running_socket = Path(second.address.removeprefix("unix:"))
    away = running_socket.rename(running_socket.with_suffix(".away"))
    try:
        with proxy.client() as client:
            statuses = Counter(client.get("/livez").status_code for _ in range(20))
    finally:
        away.rename(running_socket)
    assert statuses == {200: 20}
    assert (len(first.heads), len(second.heads)) == (before[0] + 20, before[1])
