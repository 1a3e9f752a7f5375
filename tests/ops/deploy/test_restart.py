"""`okr deploy restart` gives the API new settings and secrets under constant load; the release stays the same."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from infra.deploy import links
from infra.deploy.journal import Journal
from tests.ops.deploy.conftest import MakeHost, TestHost
from tests.ops.deploy.load import Answers, constant_load, get
from tests.ops.deploy.releases import install_small
from tests.ops.deploy.test_interrupts import GOLDEN, IMPORTS, KILLED, expect, host, served_host

__all__ = ["host", "served_host"]

NEW = "a-secret-that-was-rotated" * 2
STEPS = ("before the switch", "after the switch", "after the old colour has stopped")
AT_LENGTH = (
    "before the colour starts", "while it becomes ready", "while it watches", "before the old colour stops",
)  # fmt: skip
MARKED = [*STEPS, *(pytest.param(step, marks=pytest.mark.chaos) for step in AT_LENGTH)]


@pytest.fixture
def rotated(host: TestHost) -> Iterator[TestHost]:
    """The host after its operator has replaced a secret. Its API does not have the new one yet."""
    assert secret(host) != NEW
    yield replace(host, environment=host.environment | {"OKR_JWT_SECRET": NEW})
    status, said = host.deploy("restart")
    assert status == 0, said


def secret(host: TestHost) -> object:
    """Return the secret of the process to which requests go."""
    return get(host.host.current_socket, "/secret")


def workers(host: TestHost) -> dict[str, int | None]:
    return {unit: host.units.pid(unit) for unit in (*host.host.landing, *host.host.workers)}


def test_a_restart_changes_the_secret_of_the_api_and_nothing_else(rotated: TestHost) -> None:
    before = links.serving_colour(rotated.host)
    others, last = workers(rotated), Journal(rotated.host.state).last()
    with constant_load(rotated.host.current_socket) as answers:
        status, said = rotated.deploy("restart")
    assert status == 0, said
    assert secret(rotated) == NEW
    assert links.serving_colour(rotated.host) == links.other(before)
    assert workers(rotated) == others
    assert Journal(rotated.host.state).last() == last
    expect(rotated, "v1", answers)
    newest = Journal(rotated.host.state).last_line()
    assert newest is not None
    assert (newest.kind, newest.release, newest.outcome) == ("restart", "v1", "done")


def test_a_restart_keeps_the_release_to_roll_back_to(rotated: TestHost) -> None:
    assert rotated.deploy("release", "v2", arm=GOLDEN)[0] == 0
    status, said = rotated.deploy("restart")
    assert status == 0, said
    assert "goes back to v1" in rotated.deploy("status")[1]
    assert {links.assigned(rotated.host, colour) for colour in ("blue", "green")} == {"v1", "v2"}
    assert rotated.deploy("rollback")[0] == 0
    expect(rotated, "v1", Answers())


@pytest.mark.parametrize("step", MARKED)
def test_a_killed_restart_is_completed_by_the_same_command(rotated: TestHost, step: str) -> None:
    with constant_load(rotated.host.current_socket) as answers:
        assert rotated.deploy("restart", arm=f"{IMPORTS}\n{KILLED[step]}")[0] == -9, step
        status, said = rotated.deploy("restart")
        assert status == 0, said
    assert secret(rotated) == NEW
    expect(rotated, "v1", answers)


@pytest.mark.parametrize("step", ["before the switch", "after the switch"])
def test_a_killed_restart_is_undone_by_a_rollback(rotated: TestHost, step: str) -> None:
    before = links.serving_colour(rotated.host)
    pid = rotated.units.pid(f"okr-api@{before}")
    with constant_load(rotated.host.current_socket) as answers:
        assert rotated.deploy("restart", arm=f"{IMPORTS}\n{KILLED[step]}")[0] == -9
        status, said = rotated.deploy("rollback")
        assert status == 0, said
    assert rotated.units.pid(f"okr-api@{before}") == pid, "the process with the old secret serves"
    expect(rotated, "v1", answers)


def test_a_killed_restart_without_the_old_process_can_only_be_completed(rotated: TestHost) -> None:
    assert rotated.deploy("restart", arm=f"{IMPORTS}\n{KILLED['after the old colour has stopped']}")[0] == -9
    status, said = rotated.deploy("rollback")
    assert (status, "no longer runs. `okr deploy restart` completes the restart." in said) == (1, True), said
    assert rotated.deploy("restart")[0] == 0
    expect(rotated, "v1", Answers())


def test_settings_with_which_the_api_does_not_start_never_serve(rotated: TestHost) -> None:
    behaviour = rotated.host.root / "releases" / "v1" / "behaviour.json"
    works = behaviour.read_text(encoding="utf-8")
    behaviour.write_text('{"version": "v1", "start_status": 1}', encoding="utf-8")
    old = secret(rotated)
    try:
        with constant_load(rotated.host.current_socket) as answers:
            status, said = rotated.deploy("restart")
    finally:
        behaviour.write_text(works, encoding="utf-8")
    assert (status, "The process ended before it was ready." in said) == (1, True), said
    assert secret(rotated) == old
    expect(rotated, "v1", answers)


def test_a_restart_and_a_release_do_not_continue_each_other(rotated: TestHost) -> None:
    for first, second in (("restart",), ("release", "v1")), (("release", "v2"), ("restart",)):
        assert rotated.deploy(*first, arm=f"{IMPORTS}\n{KILLED['before the switch']}")[0] == -9
        status, said = rotated.deploy(*second, arm=GOLDEN)
        assert (status, f"The {first[0]} of v" in said, "Nothing was changed." in said) == (1, True, True), said
        assert rotated.deploy("rollback")[0] == 0
    expect(rotated, "v1", Answers())


def test_a_host_without_a_serving_api_has_nothing_to_restart(small_hosts: MakeHost) -> None:
    with small_hosts() as host:
        install_small(host.host.root, "v1")
        status, said = host.deploy("restart")
    assert (status, "there is nothing to restart. Nothing was changed." in said) == (1, True), said
