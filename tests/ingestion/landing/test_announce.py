"""Announcements to Airflow, against a small HTTP server that answers as Airflow's API does."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ingestion.landing import announce
from ingestion.landing.announce import AirflowAssets, Announcer
from lakehouse.client_tls import ClientTls
from lakehouse.errors import RetryableError
from tests.background_logs import BackgroundLog
from tests.polling import until


class Airflow(ThreadingHTTPServer):
    """Counts asset events; `queued` is whether a run of the DAG is queued.

    With `listening=False` it has its port and refuses all connections until `server_activate`.
    """

    def __init__(self, *, listening: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=listening)
        if not listening:
            self.server_bind()
        self.events = 0
        self.queued = False
        self.queue_requests = 0
        self.tokens_valid = True
        self.odd: list[bytes] = []  # bodies of the first answers, instead of Airflow's


class Handler(BaseHTTPRequestHandler):
    server: Airflow

    def log_message(self, *_arguments: object) -> None: ...

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/api/v2/dags/okr_etl_dag/dagRuns":
            assert parse_qs(address.query)["state"] == ["queued"]
            self.server.queue_requests += 1
            self._answer(200, {"dag_runs": [{}] if self.server.queued else []})
        else:
            assert address.path == "/api/v2/assets"
            others = [{"id": 6, "name": f"{announce.ASSET}_by_hand"}, {"id": 7, "name": announce.ASSET}]
            self._answer(200, {"assets": others})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            self._answer(201, {"access_token": "t"})
        elif not self.server.tokens_valid:
            self.server.tokens_valid = True
            self._answer(401, {})
        else:
            assert self.path == "/api/v2/assets/events"
            assert body["asset_id"] == 7
            assert self.headers["Authorization"] == "Bearer t"
            self.server.events += 1
            self._answer(200, {})

    def _answer(self, status: int, body: object) -> None:
        text = self.server.odd.pop(0) if self.server.odd else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    monkeypatch.setattr(announce, "PAUSE_SECONDS", 0.3)
    monkeypatch.setattr(announce, "RETRY_SECONDS", 0.3)
    server = Airflow()
    with running(server):
        yield server
    server.server_close()


@contextmanager
def running(server: Airflow) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def announcer_to(port: int) -> Announcer:
    return Announcer(AirflowAssets(f"http://127.0.0.1:{port}", "admin", "secret"))


def test_many_landings_are_coalesced_and_one_announcement_follows_the_last(airflow: Airflow) -> None:
    announcer = announcer_to(airflow.server_port)
    for _ in range(50):
        announcer.landed()
        time.sleep(0.01)
    before_the_last = airflow.events
    announcer.landed()
    until(lambda: airflow.events > before_the_last, "one announcement follows the last landing", pause=0.02)
    announcer.close()
    assert 1 <= airflow.events <= 5


def test_a_queued_run_makes_an_announcement_unnecessary_until_it_has_started(airflow: Airflow) -> None:
    airflow.queued = True
    announcer = announcer_to(airflow.server_port)
    announcer.landed()
    until(lambda: airflow.queue_requests == 1, "the queue was asked", pause=0.02)
    airflow.queued = False
    announcer.landed()
    until(lambda: airflow.queue_requests == 2, "the queue was asked again", pause=0.02)
    announcer.close()
    assert airflow.events == 1, "only the second landing is announced"


def test_an_expired_token_is_renewed_and_the_announcement_made(airflow: Airflow) -> None:
    airflow.tokens_valid = False
    announcer = announcer_to(airflow.server_port)
    announcer.landed()
    until(lambda: airflow.events == 1, "one announcement", pause=0.02)
    announcer.close()


@pytest.mark.parametrize(
    "bodies",
    [
        [b"<html>starting</html>"],
        [b"{}"],
        [b"[]"],
        [b'{"access_token": "t"}', b"{}"],
        [b'{"access_token": "t"}', b'{"dag_runs": []}', b'{"assets": [{}]}'],
        [b'{"access_token": "t"}', b'{"dag_runs": []}', b'{"assets": null}'],
    ],
)
def test_invalid_answers_do_not_stop_the_announcements(airflow: Airflow, bodies: list[bytes]) -> None:
    airflow.odd = bodies
    announcer = announcer_to(airflow.server_port)
    announcer.landed()
    until(lambda: airflow.events == 1, "one announcement", pause=0.02)
    announcer.close()


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999999", "http://a b:8080", "127.0.0.1:8080"])
def test_an_invalid_url_is_reported_and_does_not_stop_the_announcements(url: str) -> None:
    airflow = AirflowAssets(url, "admin", "secret")
    for _ in range(2):
        with pytest.raises(RetryableError, match=r"Airflow|OKR_AIRFLOW_URL"):
            airflow.announce()


def test_an_unreadable_file_of_authorities_is_reported_and_does_not_stop_the_announcements(tmp_path: Path) -> None:
    airflow = AirflowAssets("https://127.0.0.1:1", "admin", "secret", ClientTls(str(tmp_path / "missing.pem")))
    for _ in range(2):
        with pytest.raises(
            RetryableError, match=r"did not accept the announcement: The file .*missing\.pem of OKR_CA_"
        ):
            airflow.announce()


def test_landing_continues_while_airflow_is_unavailable_and_the_announcement_follows(
    monkeypatch: pytest.MonkeyPatch, background_log: BackgroundLog
) -> None:
    monkeypatch.setattr(announce, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(announce, "CLOSE_SECONDS", 60.0)
    server = Airflow(listening=False)
    announcer = announcer_to(server.server_port)
    announcer.landed()
    until(lambda: "not announced" in background_log.text, "the failure is logged", pause=0.02)
    server.server_activate()
    with running(server):
        until(lambda: server.events == 1, "one announcement", pause=0.02)
        announcer.close()
    server.server_close()
    assert server.events == 1, "once, after several attempts"
    assert background_log.text.count("not announced") == 1
