"""A worker that hangs in the compose project: Docker restarts only what ends, so its health check ends it.

See https://github.com/moby/moby/issues/28400: an unhealthy container stays as it is.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from infra.local.executables import ROOT
from tests.ops.containers.conftest import BASE
from tests.ops.containers.podman import Podman
from tests.polling import until

KILLED = 128 + 9
STARTED = "/tmp/started"  # noqa: S108 -- in the container
# Like a worker that waits for an answer in C code, it ends on no signal but SIGKILL.
HANGING = "trap '' TERM; {start}; touch {started}; while :; do sleep 60; done"
READY = "echo 1 > /tmp/ready; touch -d '{minutes} minutes ago' /tmp/ready"


@pytest.fixture(scope="module")
def land() -> dict[str, Any]:
    """The service of the landing worker."""
    found: dict[str, Any] = yaml.safe_load(
        (ROOT / "infra" / "containers" / "compose.yaml").read_text(encoding="utf-8")
    )["services"]["land"]
    return found


@contextmanager
def worker(podman: Podman, land: dict[str, Any], start: str) -> Iterator[subprocess.Popen[bytes]]:
    """A container that is confined like a worker and does nothing after `start`."""
    command = podman.command(
        "run", "--rm", "--name=worker", "--network=none", "--user=10001:10001", "--init", "--read-only",
        *(f"--cap-drop={each}" for each in land["cap_drop"]), "--security-opt=no-new-privileges", "--tmpfs=/tmp",
        BASE, "sh", "-c", HANGING.format(start=start, started=STARTED),
    )  # fmt: skip
    process = subprocess.Popen(command, env=podman.environment)
    try:
        until(lambda: podman.run("exec", "worker", "test", "-e", STARTED, check=False).returncode == 0, "it runs")
        yield process
    finally:
        podman.run("rm", "--force", "--ignore", "--time=0", "worker", check=False)
        process.wait(30)


def check(podman: Podman, land: dict[str, Any]) -> int:
    """Run the health check as Docker does and return its status."""
    kind, text = land["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    return podman.run("exec", "worker", "/bin/sh", "-c", text.replace("$$", "$"), check=False).returncode


@pytest.mark.parametrize(("start", "is_healthy"), [("true", False), (READY.format(minutes=14), True)])
def test_a_worker_that_starts_or_makes_progress_goes_on(
    podman: Podman, land: dict[str, Any], start: str, is_healthy: bool
) -> None:
    with worker(podman, land, start) as process:
        assert (check(podman, land) == 0) == is_healthy
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)


def test_a_worker_without_progress_for_15_minutes_ends(podman: Podman, land: dict[str, Any]) -> None:
    assert land["restart"] == "unless-stopped"
    with worker(podman, land, READY.format(minutes=16)) as process:
        check(podman, land)
        assert process.wait(20) == KILLED
