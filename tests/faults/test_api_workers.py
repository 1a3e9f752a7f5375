"""`okr serve --workers N`: real processes that are killed, stopped and replaced under load."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from infra.deploy.units import LONGEST_STOP_S
from infra.local.executables import ROOT
from lakehouse.settings import Settings
from serving.data.lists.exports import MAX_EXPORT_S
from tests.polling import until
from tests.serving.conftest import *  # noqa: F403 -- the published organisation
from tests.serving.worker_processes import Served, load, okr_serve

PATH = "/livez"
EXPORT = "/v1/progress-days?format=csv"
END_OF_CHUNKS = b"\r\n0\r\n\r\n"
NOT_AT_START = ("mlflow", "polars", "xgboost", "pandas", "sklearn", "pyarrow")


def test_a_worker_imports_nothing_heavy_before_its_first_answer() -> None:
    probe = "import sys, serving.processes.worker, serving.app, serving.services; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=120, check=True)
    imported = set(done.stdout.split())
    assert imported.isdisjoint(NOT_AT_START)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder."""
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def served(published: Settings, redis_server: Settings, kafka: Settings, state: Path) -> Iterator[Served]:
    """Two workers."""
    with okr_serve(published, state, "--workers", "2") as served:
        until(lambda: len(served.workers()) == 2, "two workers run")
        yield served


def test_the_first_answer_comes_within_three_seconds_of_cpu_time(served: Served) -> None:
    """Wall-clock time depends on the other load of the machine; docs/serving.md has the figure of an idle one."""
    assert served.started_s < 60
    spent = [sum(each.cpu_times()[:2]) for each in (served.supervisor, served.workers()[0])]
    assert spent[0] < 3


def test_a_killed_worker_is_replaced_and_the_other_answers_meanwhile(served: Served, state: Path) -> None:
    victim, other = served.workers()
    with load(served.port, PATH, clients=1) as sent:
        victim.kill()
        until(lambda: sent.statuses[200] > 20, "requests are answered")
        until(lambda: len({each.pid for each in served.workers()} - {victim.pid}) == 2, "a new worker runs")
    assert other.is_running()
    assert len(sent.lost) + sent.refused <= 1, "only what the killed worker itself had accepted"


def test_replacing_all_workers_loses_no_request(served: Served) -> None:
    before = {each.pid for each in served.workers()}
    with load(served.port, PATH) as sent:
        served.supervisor.send_signal(signal.SIGHUP)
        until(lambda: before.isdisjoint(each.pid for each in served.workers()), "both workers are replaced")
        seen = sent.statuses[200]
        until(lambda: sent.statuses[200] > seen + 20, "the new workers answer")
    assert (sent.lost, sent.refused) == ([], 0)
    assert set(sent.statuses) == {200}


def test_stopping_answers_every_accepted_request(published: Settings, kafka: Settings, tmp_path: Path) -> None:
    with okr_serve(published, tmp_path, "--workers", "1") as served, load(served.port, PATH) as sent:
        until(lambda: sent.statuses[200] > 100, "requests are answered")
        served.supervisor.terminate()
        assert served.supervisor.wait(30) == 0
        until(lambda: sent.refused, "nobody listens any more")
    assert sent.lost == []
    assert set(sent.statuses) == {200}


def test_workers_end_when_their_supervisor_is_killed(published: Settings, kafka: Settings, tmp_path: Path) -> None:
    with okr_serve(published, tmp_path, "--workers", "2") as served:
        until(lambda: len(served.workers()) == 2, "two workers run")
        workers = served.workers()
        os.kill(served.supervisor.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == [], "an orphan would keep the port from the next supervisor"


# The second one is as in the unit and on Kubernetes; see https://github.com/Kludex/uvicorn/pull/1950.
@pytest.mark.parametrize(("drain_s", "is_complete"), [(1, False), (610, True)])
def test_stopping_completes_an_export_that_is_read_slowly(  # noqa: PLR0917 -- fixtures
    published: Settings, redis_server: Settings, kafka: Settings, tmp_path: Path, drain_s: int, is_complete: bool
) -> None:
    settings = published.model_copy(update={"api_drain_s": drain_s})
    with okr_serve(settings, tmp_path, "--workers", "1") as served:
        login = {"username": "app", "password": settings.require("app_password")}
        token = httpx.post(f"http://127.0.0.1:{served.port}/auth/token", json=login, timeout=30).json()["access_token"]
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.settimeout(30)
            client.connect(("127.0.0.1", served.port))
            head = f"GET {EXPORT} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
            client.sendall(head.encode())
            received = client.recv(4_096)
            assert received.startswith(b"HTTP/1.1 200 "), received
            served.supervisor.terminate()
            if is_complete:
                time.sleep(3)  # longer than the other limit
            else:
                served.supervisor.wait(30)
            try:
                while more := client.recv(65_536):
                    received += more
            except ConnectionResetError:
                pass
        assert received.endswith(END_OF_CHUNKS) == is_complete, "a client must notice that an export was cut off"


def test_every_supervisor_waits_until_the_longest_export_has_ended() -> None:
    unit = (ROOT / "infra/server/systemd/okr-api@.service").read_text(encoding="utf-8")
    manifest = (ROOT / "infra/containers/kubernetes/base/api.yaml").read_text(encoding="utf-8")
    pod = next(yaml.safe_load_all(manifest))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (drain_s,) = [each["value"] for each in container["env"] if each["name"] == "OKR_API_DRAIN_S"]
    before_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert f"OKR_API_DRAIN_S={drain_s}\n" in unit
    assert MAX_EXPORT_S < int(drain_s) < 11 * 60 - 30
    assert "TimeoutStopSec=11min\n" in unit
    assert LONGEST_STOP_S > 11 * 60
    assert pod["terminationGracePeriodSeconds"] > int(drain_s) + before_s + 20
