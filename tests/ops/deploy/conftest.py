"""A host whose units are child processes, with the layout of a server in a folder of its own."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.deploy.child_units import ChildUnits
from infra.deploy.host import Host
from tests.ops.deploy.commands import Command
from tests.ops.deploy.releases import LANDING, commands

QUICK = {
    "start_s": 30, "stop_s": 20, "settle_s": 0.1, "watch_s": 0.3, "steady_s": 0.1, "min_requests": 5, "min_free_mb": 1,
}  # fmt: skip


@dataclass(frozen=True)
class TestHost:
    """A host, the settings of its services, and the command `okr deploy` on it."""

    __test__ = False

    config: Path
    host: Host
    environment: dict[str, str]
    units: ChildUnits

    def start(self, *arguments: str, arm: str = "") -> Command:
        """Start `okr deploy ...`; `arm` is code that runs first (tests.faults.fault_injection)."""
        log = self.config.with_name("okr-deploy.log")
        return Command(["deploy", *arguments, "--config", str(self.config)], self.environment, log, arm)

    def deploy(self, *arguments: str, arm: str = "") -> tuple[int, str]:
        """Run `okr deploy ...`, and return its exit status and output."""
        return self.start(*arguments, arm=arm).ended()

    def stop_all(self) -> None:
        """Stop all units."""
        for unit in (*self.host.commands,):
            self.units.stop(unit)


MakeHost = Callable[..., AbstractContextManager[TestHost]]


def make_host(folder: Path, environment: dict[str, str], **limits: float) -> TestHost:
    """Make the layout of a server, without releases."""
    root, sockets, state = folder / "opt", folder / "run", folder / "state"
    for each in (root / "releases", sockets, state):
        each.mkdir(parents=True)
    values = {
        "root": str(root), "sockets": str(sockets), "state": str(state), "boot_file": str(folder / "boot.conf"),
        "environment_file": str(folder / "none"), "secrets": str(folder / "none"), "runner": "processes",
        "landing": LANDING, "workers": ["okr-state"],
    }  # fmt: skip
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    lines += ["[commands]", *(f'"{name}" = {json.dumps(each)}' for name, each in commands(root, sockets).items())]
    lines += ["[limits]", *(f"{name} = {value}" for name, value in (QUICK | limits).items())]
    config = folder / "deploy.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    host = Host.read(config)
    return TestHost(config, host, environment, ChildUnits(host))


@pytest.fixture(scope="session")
def small_hosts(tmp_path_factory: pytest.TempPathFactory) -> MakeHost:
    """Return a function that makes a host for releases with the small API, which needs no services."""

    @contextmanager
    def make(folder: Path | None = None) -> Iterator[TestHost]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OKR_")}
        environment |= {
            "OKR_STATE": os.devnull,
            "OKR_DSN_OWNER": "postgresql://nobody@127.0.0.1:1/okr",
            "OKR_APP_PASSWORD": "a-password-of-the-app",
            "OKR_METRICS_TOKEN": "a-token-of-metrics",
            "OKR_JWT_SECRET": "the-secret-of-the-start" * 2,
        }
        # The path of a socket may have only 107 bytes.
        host = make_host(folder or tmp_path_factory.mktemp("d"), environment)
        try:
            yield host
        finally:
            host.stop_all()

    return make
