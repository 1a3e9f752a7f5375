"""Releases that do not start, predict wrongly, are slow or fail: each leaves the earlier release serving."""

import re
import time

import pytest

from infra.deploy import links
from infra.deploy.journal import Journal
from infra.deploy.units import running_release
from tests.faults.disks import filled, small_disk
from tests.ops.deploy.conftest import MakeHost, TestHost
from tests.ops.deploy.load import Answers, constant_load
from tests.ops.deploy.releases import install_small
from tests.ops.deploy.test_interrupts import GOLDEN, IMPORTS, expect, host, served_host
from tests.polling import until

__all__ = ["host", "served_host"]

BAD = {
    "does not start": ({"start_status": 1}, "okr-api@green: The process ended before it was ready. `tail -n 50 "),
    "predicts wrongly": ({"probability": 0.6}, "Golden row 1: expected probability = 0.5 of model version 1, got 0.6"),
    "predicts too few rows": ({"predictions": 0}, "Expected 1 predictions for 1 golden rows, got 0."),
    "is slow": (
        {"delay_s": 0.7},
        "5 % of the requests since the switch took up to 1000 ms or longer; the limit is 500",
    ),
    "cannot migrate": ({"migrate_status": 1}, "The migration failed"),
    "has a worker that does not start": ({"worker_status": 1}, "okr-land@2 did not start"),
}


def _watch_for(host: TestHost, seconds: int) -> None:
    host.config.write_text(host.config.read_text().replace("watch_s = 0.3", f"watch_s = {seconds}"))


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_release_goes_back_by_itself(host: TestHost, fault: str) -> None:
    behaviour, expected = BAD[fault]
    bad = fault.replace(" ", "-")
    install_small(host.host.root, bad, **behaviour)
    _watch_for(host, 3)
    with constant_load(host.host.current_socket) as answers:
        until(lambda: answers.total > 20, "the load runs", pause=0.01)
        status, said = host.deploy("release", bad, arm=GOLDEN)
    assert status == 1
    assert expected in said, said
    assert said.splitlines()[-1].startswith("okr: "), said
    expect(host, "v1", answers)
    newest = Journal(host.host.state).last_line()
    assert newest is not None
    assert newest.outcome.startswith("undone: ")
    assert "There is no release to roll back to" in host.deploy("status")[1], "v1 is the first release"


def test_a_release_that_fails_after_the_switch_goes_back_within_seconds(host: TestHost) -> None:
    install_small(host.host.root, "bad", fails_after=time.time() + 3)
    _watch_for(host, 20)
    with constant_load(host.host.current_socket) as answers:
        started = time.monotonic()
        status, said = host.deploy("release", "bad", arm=GOLDEN)
        took = time.monotonic() - started
        failed_until_then = len(answers.failed())
        until_settled = answers.total
        until(lambda: answers.total > until_settled + 50, "the load goes on", pause=0.01)
    assert status == 1
    assert "requests and probes failed since the switch; the limit is 1.0%." in said, said
    assert took < 15, "it did not wait until the end of the watch"
    assert len(answers.failed()) == failed_until_then
    answers.counts = type(answers.counts)({key: count for key, count in answers.counts.items() if key[0] == 200})
    expect(host, "v1", answers)


def test_a_release_that_is_not_installed_changes_nothing(host: TestHost) -> None:
    status, said = host.deploy("release", "v9")
    assert status == 1
    assert re.search(r"^okr: Expected a release .*/releases/v9\. Installed releases: .*v1, v2\.$", said, re.M), said
    for name in ("../v1", ".hidden"):
        assert host.deploy("release", name)[0] == 1


def test_a_full_disk_is_one_line_and_changes_nothing(small_hosts: MakeHost, tmp_path_factory) -> None:
    disk = tmp_path_factory.mktemp("d") / "disk"
    # The disk becomes full after the new colour has started.
    fill = f"{IMPORTS}\nimport pathlib\nfrom tests.faults.disks import filled"
    fill += f"\nbefore(Deployment, '_check_golden_rows', filled(pathlib.Path({str(disk)!r})).__enter__)"
    with small_disk(disk, 4), small_hosts(disk / "h") as host:
        for version in ("v1", "v2"):
            install_small(host.host.root, version)
        assert host.deploy("release", "v1", arm=GOLDEN)[0] == 0
        with constant_load(host.host.current_socket) as answers:
            with filled(disk):
                status, said = host.deploy("release", "v2", arm=GOLDEN)
                assert (status, "0 MB free; expected at least 1 MB" in said) == (1, True), said
            status, said = host.deploy("release", "v2", arm=fill)
            assert (status, "No space left on device" in said.splitlines()[-1]) == (1, True), said
            assert "`okr deploy rollback` does the rest." in said, said
            assert running_release(host.host, host.units, "okr-api@blue") == "v1"
            assert running_release(host.host, host.units, "okr-api@green") is None, "it does not fill the memory, too"
            (disk / "filler").unlink(missing_ok=True)
            status, said = host.deploy("release", "v2", arm=GOLDEN)
            assert status == 0, said
        assert answers.failed() == []


def test_the_clock_does_not_decide_anything(host: TestHost) -> None:
    """The record of an interrupted deployment is from tomorrow, and the clock jumps while the release is watched."""
    assert host.deploy("release", "v2", arm=f"{IMPORTS}\nbefore(links, 'switch', die)")[0] == -9
    journal = Journal(host.host.state)
    last = journal.last()
    assert last is not None
    last.started_at = "2099-01-01T00:00:00+00:00"
    journal.write(last)
    jump = (
        "import time\nreal, jumps = time.time, iter(range(0, 10**9, 86_400))\ntime.time = lambda: real() - next(jumps)"
    )
    with constant_load(host.host.current_socket) as answers:
        status, said = host.deploy("release", "v2", arm=f"{GOLDEN}\n{jump}")
        assert status == 0, said
    expect(host, "v2", answers)


def test_a_bad_release_keeps_the_one_to_roll_back_to(host: TestHost) -> None:
    """`okr-release install` removes old releases that no link names."""
    install_small(host.host.root, "bad", probability=0.6)
    assert host.deploy("release", "v2", arm=GOLDEN)[0] == 0
    assert host.deploy("release", "bad", arm=GOLDEN)[0] == 1
    assert {links.assigned(host.host, colour) for colour in ("blue", "green")} == {"v1", "v2"}
    assert "goes back to v1" in host.deploy("status")[1]
    status, said = host.deploy("rollback")
    assert status == 0, said
    expect(host, "v1", Answers())
