"""`okr deploy` is killed at every step, repeated or rolled back, under constant load: no request fails."""

import os
import signal
from collections.abc import Iterator

import pytest

from infra.deploy import links
from infra.deploy.journal import Journal
from infra.deploy.units import running_release
from tests.ops.deploy.conftest import MakeHost, TestHost
from tests.ops.deploy.load import Answers, constant_load
from tests.ops.deploy.releases import install_small
from tests.polling import until

# The registry's golden rows, so that MLflow is not needed. test_real_api.py reads them from a registry.
GOLDEN = """
import infra.deploy.golden
infra.deploy.golden._registered = lambda host, version: (1e-6, [{}], [{"probability": 0.5, "low": 0.1, "high": 0.9}])
"""
IMPORTS = f"""
{GOLDEN}
from infra.deploy import deployment, links
from infra.deploy.api_client import ColourClient
from infra.deploy.child_units import ChildUnits
from infra.deploy.colours import Colours
from infra.deploy.deployment import Deployment
from infra.deploy.journal import Journal
"""
KILLED = {
    "before the first record": "before(Journal, 'write', die)",
    "before the migration": "before(deployment, 'migrate', die)",
    "during the migration": "before(deployment, 'migrate', lambda: die_soon(0.3))",
    "before the colour gets its release": "before(links, 'assign', die)",
    "before the colour starts": "before(ChildUnits, 'start', die)",
    "after the colour has started": "after(ChildUnits, 'start', die)",
    "while it becomes ready": "before(ColourClient, 'wait_until_ready', die)",
    "before the golden rows": "before(Deployment, '_check_golden_rows', die)",
    "before the switch": "before(links, 'switch', die)",
    "in the switch, after the file for the boot": "before(links, 'replace_link', die, times=2)",
    "after the switch": "after(links, 'switch', die)",
    "while it watches": "before(ColourClient, 'requests', die, times=2)",
    "before current changes": "before(links, 'assign', die, times=2)",
    "before a worker stops": "before(deployment, 'hand_over', lambda: before(ChildUnits, 'stop', die))",
    "before a worker starts": "before(deployment, 'hand_over', lambda: before(ChildUnits, 'start', die))",
    "before the old colour stops": "before(Colours, 'settle_and_stop', die)",
    "after the old colour has stopped": "after(Colours, 'settle_and_stop', die)",
}

# Each has a neighbour that shows nearly the same: `make test-ops ARGS='-m "chaos or not chaos"'` runs them, too.
AT_LENGTH = {
    "before the migration",
    "before the colour gets its release",
    "after the colour has started",
    "before the switch",
    "before current changes",
    "before a worker stops",
    "before the old colour stops",
}
MARKED = [pytest.param(step, marks=pytest.mark.chaos if step in AT_LENGTH else ()) for step in KILLED]


@pytest.fixture(scope="module")
def served_host(small_hosts: MakeHost) -> Iterator[TestHost]:
    """A host on which v1 serves and lands."""
    with small_hosts() as host:
        for version in ("v1", "v2"):
            install_small(host.host.root, version)
        status, said = host.deploy("release", "v1", arm=GOLDEN)
        assert status == 0, said
        links.assign(host.host, "current", "v1")
        for unit in ("okr-land@1", "okr-state"):
            host.units.start(unit)
        yield host


@pytest.fixture
def host(served_host: TestHost) -> Iterator[TestHost]:
    """The host, with v1 serving as after its first deployment."""
    limits = served_host.config.read_text()
    yield served_host
    served_host.config.write_text(limits)
    last = Journal(served_host.host.state).last()
    if serving_release(served_host) != "v1" or (last is not None and last.is_interrupted):
        status, said = served_host.deploy("release", "v1", arm=GOLDEN)
        assert status == 0, said
    (served_host.host.state / "current.json").unlink(missing_ok=True)


def serving_release(host: TestHost) -> str | None:
    """Return the release to which requests go."""
    serving = links.serving_colour(host.host)
    return running_release(host.host, host.units, f"okr-api@{serving}")


def expect(host: TestHost, release: str, answers: Answers) -> None:
    """Assert that a release, and nothing else, runs, and that no request has failed."""
    assert answers.failed() == []
    serving = links.serving_colour(host.host)
    assert serving is not None
    apis = {colour: running_release(host.host, host.units, f"okr-api@{colour}") for colour in ("blue", "green")}
    assert apis == {serving: release, links.other(serving): None}
    landing = {running_release(host.host, host.units, unit) for unit in host.host.landing}
    assert landing == {release, None}
    assert running_release(host.host, host.units, "okr-state") == release
    assert (host.host.root / "serving").readlink().name == serving, "nginx takes static files from there"
    assert host.host.boot_file is not None
    assert f"{serving}.sock" in host.host.boot_file.read_text()
    last = Journal(host.host.state).last()
    assert last is None or not last.is_interrupted


@pytest.mark.parametrize("step", MARKED)
def test_a_killed_deployment_is_completed_by_the_same_command(host: TestHost, step: str) -> None:
    with constant_load(host.host.current_socket) as answers:
        until(lambda: answers.total > 20, "the load runs", pause=0.01)
        status, said = host.deploy("release", "v2", arm=f"{IMPORTS}\n{KILLED[step]}")
        assert status == -9, f"not killed {step}: {said}"
        status, said = host.deploy("release", "v2", arm=GOLDEN)
        assert status == 0, said
    expect(host, "v2", answers)


@pytest.mark.parametrize("step", ["before the colour starts", "after the switch", "before a worker starts"])
def test_a_killed_deployment_is_undone_by_a_rollback(host: TestHost, step: str) -> None:
    with constant_load(host.host.current_socket) as answers:
        assert host.deploy("release", "v2", arm=f"{IMPORTS}\n{KILLED[step]}")[0] == -9
        status, said = host.deploy("rollback", arm=GOLDEN)
        assert status == 0, said
    expect(host, "v1", answers)
    assert "There is no release to roll back to" in host.deploy("status")[1]


def test_a_killed_rollback_is_completed_by_the_same_command(host: TestHost) -> None:
    with constant_load(host.host.current_socket) as answers:
        assert host.deploy("release", "v2", arm=GOLDEN)[0] == 0
        assert host.deploy("rollback", arm=f"{IMPORTS}\n{KILLED['after the switch']}")[0] == -9
        status, said = host.deploy("rollback", arm=GOLDEN)
        assert status == 0, said
    expect(host, "v1", answers)
    assert "goes back to v2" in host.deploy("status")[1]


@pytest.mark.parametrize(
    ("step", "command"),
    [
        ("after the switch", ("release", "v2")),
        ("before a worker starts", ("release", "v2")),
        ("before a worker starts", ("rollback",)),
        pytest.param("after the switch", ("rollback",), marks=pytest.mark.chaos),
    ],
)
def test_a_new_release_that_died_after_a_killed_deployment_goes_back(
    host: TestHost, step: str, command: tuple[str, ...]
) -> None:
    assert host.deploy("release", "v2", arm=f"{IMPORTS}\n{KILLED[step]}")[0] == -9
    kill_the_serving_api(host)
    status, said = host.deploy(*command, arm=GOLDEN)
    assert status == (0 if command == ("rollback",) else 1), said
    expect(host, "v1", Answers())


def test_a_new_release_that_died_when_only_the_old_one_had_to_stop_is_started_again(host: TestHost) -> None:
    assert host.deploy("release", "v2", arm=f"{IMPORTS}\n{KILLED['before the old colour stops']}")[0] == -9
    kill_the_serving_api(host)
    status, said = host.deploy("release", "v2", arm=GOLDEN)
    assert status == 0, said
    expect(host, "v2", Answers())


@pytest.mark.parametrize(
    ("behaviour", "status", "release"),
    [({"start_status": 1}, 1, "v2"), pytest.param({}, 0, "v1", marks=pytest.mark.chaos)],
)
def test_a_rollback_to_a_release_that_died_does_not_stop_the_other_one(
    host: TestHost, behaviour: dict[str, object], status: int, release: str
) -> None:
    assert host.deploy("release", "v2", arm=GOLDEN)[0] == 0
    assert host.deploy("rollback", arm=f"{IMPORTS}\n{KILLED['after the switch']}")[0] == -9
    kill_the_serving_api(host)
    install_small(host.host.root, "v1", **behaviour)
    found, said = host.deploy("rollback")
    install_small(host.host.root, "v1")
    assert found == status, said
    expect(host, release, Answers())


def kill_the_serving_api(host: TestHost) -> None:
    """Kill the process to which requests go."""
    unit = f"okr-api@{links.serving_colour(host.host)}"
    pid = host.units.pid(unit)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: host.units.pid(unit) is None, "the process is dead", pause=0.02)


def test_a_disk_that_cannot_be_written_is_not_undone_by_a_rollback(host: TestHost) -> None:
    """Nothing is recorded, so `okr deploy rollback` would go back to an even earlier release."""
    read_only = """
def fail(*arguments, **named):
    raise OSError(30, "Read-only file system", "current.json")
Journal.write = Journal.end = fail
"""
    status, said = host.deploy("release", "v2", arm=IMPORTS + read_only)
    assert status == 1, said
    assert "`okr deploy status` shows what runs." in said
    assert "rollback" not in said
    expect(host, "v1", Answers())


def test_output_that_nobody_reads_does_not_end_a_deployment(host: TestHost) -> None:
    closed = """
import os
def close():
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
before(Deployment, '_run', close)
"""
    with constant_load(host.host.current_socket) as answers:
        host.deploy("release", "v2", arm=IMPORTS + closed)
    expect(host, "v2", answers)


def test_another_release_is_not_deployed_over_an_interrupted_one(host: TestHost) -> None:
    install_small(host.host.root, "v4")
    assert host.deploy("release", "v2", arm=f"{IMPORTS}\n{KILLED['after the switch']}")[0] == -9
    status, said = host.deploy("release", "v4", arm=GOLDEN)
    assert (status, "Continue it with `okr deploy release v2`, or undo it" in said) == (1, True), said
    assert host.deploy("release", "v2", arm=GOLDEN)[0] == 0
    expect(host, "v2", Answers())


def test_an_interrupted_rollback_is_not_continued_as_a_release(host: TestHost) -> None:
    """A release migrates, and the earlier one does not know the newest revision."""
    assert host.deploy("release", "v2", arm=GOLDEN)[0] == 0
    assert host.deploy("rollback", arm=f"{IMPORTS}\n{KILLED['after the switch']}")[0] == -9
    status, said = host.deploy("release", "v1", arm=GOLDEN)
    assert (status, "Continue it with `okr deploy rollback`" in said) == (1, True), said
    assert host.deploy("rollback")[0] == 0
    expect(host, "v1", Answers())


def test_a_repeated_release_has_no_way_back_to_before_its_contraction(host: TestHost) -> None:
    assert host.deploy("release", "v2", arm=GOLDEN)[0] == 0
    journal = Journal(host.host.state)
    last = journal.last()
    assert last is not None
    last.is_contracted = True
    journal.write(last)
    assert host.deploy("release", "v2", arm=GOLDEN)[0] == 0
    status, said = host.deploy("rollback", arm=GOLDEN)
    assert status == 1, said
    repeated = journal.last()
    assert repeated is not None
    repeated.is_contracted = False  # for the other tests of this host
    journal.write(repeated)


def test_two_deployments_at_once(host: TestHost) -> None:
    install_small(host.host.root, "v3")
    with constant_load(host.host.current_socket) as answers:
        first = host.start("release", "v2", arm=GOLDEN)
        until(lambda: _step(host) not in ("", "check"), "the first one has started", pause=0.02)
        status, said = host.deploy("release", "v3", arm=GOLDEN)
        assert first.ended()[0] == 0
    assert status == 1
    assert said.startswith(f"okr: Another deployment is running on this host (process {first.pid})"), said
    expect(host, "v2", answers)


def _step(host: TestHost) -> str:
    last = Journal(host.host.state).last()
    return "" if last is None or last.outcome else last.step


def test_an_interrupt_by_the_operator_goes_back(host: TestHost) -> None:
    interrupted = "before(ColourClient, 'requests', lambda: os.kill(os.getpid(), signal.SIGINT), times=2)"
    with constant_load(host.host.current_socket) as answers:
        status, said = host.deploy("release", "v2", arm=f"{IMPORTS}\nimport os, signal\n{interrupted}")
    assert status != 0, said
    assert "Going back to v1: KeyboardInterrupt" in said
    expect(host, "v1", answers)
