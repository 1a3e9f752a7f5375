"""A deployment keeps the number of landing workers, and notices workers that end soon after their start."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.deploy import links
from infra.deploy.units import running_release
from infra.local.airflow import airflow_environment
from infra.local.stack import prepare_stack
from tests.ops.deploy.conftest import MakeHost, TestHost
from tests.ops.deploy.load import Answers
from tests.ops.deploy.releases import install_small
from tests.ops.deploy.test_interrupts import GOLDEN, IMPORTS, expect, serving_release

KILLED = {
    "before the first worker starts": "before(deployment, 'hand_over', lambda: before(ChildUnits, 'start', die))",
    "after the first worker has started": "before(deployment, 'hand_over', lambda: after(ChildUnits, 'start', die))",
    "before the second worker starts": (
        "before(deployment, 'hand_over', lambda: before(ChildUnits, 'start', die, times=2))"
    ),
    "while all must keep running": "before(workers, '_check_steady', die)",
}
AT_LENGTH = {"before the first worker starts", "while all must keep running"}
MARKED = [pytest.param(step, marks=pytest.mark.chaos if step in AT_LENGTH else ()) for step in KILLED]

TITLED = """
import time
from setproctitle import setproctitle
setproctitle("airflow api_server -- host:127.0.0.1 port:8080")
print(flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def served_host(small_hosts: MakeHost) -> Iterator[TestHost]:
    with small_hosts() as host:
        for version in ("v1", "v2"):
            install_small(host.host.root, version)
        install_small(host.host.root, "ends", worker_ends_after_s=0.3)
        assert host.deploy("release", "v1", arm=GOLDEN)[0] == 0
        yield host


@pytest.fixture
def host(served_host: TestHost) -> TestHost:
    """A host on which a release serves, with two landing workers. Tests deploy the `other` one."""
    if len(landing(served_host)) != 2 or served_host.units.pid("okr-state") is None:
        links.assign(served_host.host, "current", serving_release(served_host) or "")
        for unit in ("okr-land@1", "okr-land@2", "okr-state"):
            served_host.units.start(unit)
    return served_host


def other(host: TestHost) -> str:
    """Return the release that does not serve."""
    return "v1" if serving_release(host) == "v2" else "v2"


def landing(host: TestHost) -> list[str]:
    """Return the releases of the landing workers that run."""
    found = (running_release(host.host, host.units, unit) for unit in host.host.landing)
    return [release for release in found if release is not None]


def test_two_landing_workers_are_two_after_a_deployment_and_a_rollback(host: TestHost) -> None:
    new, old = other(host), serving_release(host)
    for command, release in ((("release", new), new), (("rollback",), old)):
        status, said = host.deploy(*command, arm=GOLDEN)
        assert status == 0, said
        assert landing(host) == [release, release], said


def test_two_landing_workers_run_at_every_moment(host: TestHost) -> None:
    counted = """
stop = ChildUnits.stop
def counting(self, unit):
    stop(self, unit)
    if unit in self._host.landing:
        print("RUNNING", sum(self.pid(each) is not None for each in self._host.landing))
ChildUnits.stop = counting
"""
    status, said = host.deploy("release", other(host), arm=IMPORTS + counted)
    assert status == 0, said
    counts = {line for line in said.splitlines() if line.startswith("RUNNING")}
    assert counts == {"RUNNING 2"}, said


@pytest.mark.parametrize("step", MARKED)
def test_two_landing_workers_are_two_after_a_kill(host: TestHost, step: str) -> None:
    new = other(host)
    assert host.deploy("release", new, arm=f"{IMPORTS}\nfrom infra.deploy import workers\n{KILLED[step]}")[0] == -9
    status, said = host.deploy("release", new, arm=GOLDEN)
    assert status == 0, said
    assert landing(host) == [new, new]


def test_a_landing_worker_that_died_during_an_interrupted_deployment_is_replaced(host: TestHost) -> None:
    new, old = other(host), serving_release(host)
    assert host.deploy("release", new, arm=f"{IMPORTS}\n{KILLED['before the first worker starts']}")[0] == -9
    host.units.stop(next(unit for unit in host.host.landing if host.units.pid(unit) is not None))
    assert host.deploy("rollback")[0] == 0
    assert landing(host) == [old, old]


def test_workers_that_end_soon_after_their_start_are_undone(host: TestHost) -> None:
    old = serving_release(host)
    host.config.write_text(host.config.read_text().replace("steady_s = 0.1", "steady_s = 2"))
    try:
        status, said = host.deploy("release", "ends", arm=GOLDEN)
    finally:
        host.config.write_text(host.config.read_text().replace("steady_s = 2", "steady_s = 0.1"))
    assert status == 1, said
    assert "ended soon after its start. `tail -n 50 " in said.splitlines()[-1], said
    assert landing(host) == [old, old]
    expect(host, old, Answers())


@pytest.mark.parametrize(("variables", "known"), [({"SPT_NOENV": "1"}, "v1"), ({}, "unknown")])
def test_the_release_of_a_process_with_a_title_is_in_its_environment(
    host: TestHost, variables: dict[str, str], known: str
) -> None:
    environment = os.environ | {"PYTHONPATH": f"{host.host.root}/releases/v1/files:/elsewhere", **variables}
    command = [sys.executable, "-c", TITLED]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            found = running_release(host.host, SimpleNamespace(pid=lambda unit: process.pid), "okr-airflow-api-server")
        finally:
            process.kill()
    assert found == known


def test_airflow_leaves_its_environment_readable(tmp_path: Path) -> None:
    assert airflow_environment(prepare_stack(tmp_path))["SPT_NOENV"] == "1"
