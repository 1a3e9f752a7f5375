"""`okr serve --workers N`: real processes that are killed, stopped and replaced under load."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lakehouse.settings import Settings
from tests.polling import until
from tests.serving.conftest import *  # noqa: F403 -- the published organisation
from tests.serving.worker_processes import Served, load, okr_serve

PATH = "/livez"
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
