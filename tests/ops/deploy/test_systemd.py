"""`okr deploy` with systemd, in a booted container: units are enabled, started, found and stopped."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.conftest import RequirePrograms
from tests.ops.deploy.load import constant_load
from tests.ops.deploy.releases import ROOT, install_small
from tests.ops.deploy.test_interrupts import GOLDEN
from tests.ops.server.machine import Machine, booted

UNIT = """
[Service]
Environment=OKR_READY_FILE=/run/okr/%p-%i.ready
ExecStart=/opt/okr/{link}/.venv/bin/okr {arguments}
Restart=always
RestartSec=100ms
[Install]
WantedBy=multi-user.target
"""
UNITS = {
    "okr-api@.service": UNIT.format(link="%i", arguments="serve --uds /run/okr/api/%i.sock"),
    "okr-land@.service": UNIT.format(link="current", arguments="consume land"),
    "okr-state.service": UNIT.format(link="current", arguments="consume state").replace("%i", "1"),
}
RELEASES: dict[str, dict[str, object]] = {
    "v1": {}, "v2": {}, "bad": {"start_status": 1}, "loops": {"worker_ends_after_s": 0.5},
}  # fmt: skip
SETTINGS = """
environment_file = "/none"
[limits]
settle_s = 0.3
watch_s = 1
min_free_mb = 1
steady_s = 2
"""
PROGRAM = f"{GOLDEN}\nimport sys\nsys.argv[0] = 'okr'\nfrom lakehouse.cli import main\nmain()"


@pytest.fixture
def machine(require_programs: RequirePrograms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted container with two releases, which can read this clone and its Python."""
    require_programs("systemd-nspawn", "mmdebstrap")
    folder = tmp_path_factory.mktemp("d")
    for version, behaviour in RELEASES.items():
        install_small(folder / "okr", version, **behaviour)
    (folder / "units").mkdir()
    for name, text in UNITS.items():
        (folder / "units" / name).write_text(text, encoding="utf-8")
    (folder / "units" / "deploy.toml").write_text(SETTINGS, encoding="utf-8")
    python = Path(sys.executable).resolve().parents[1]
    binds = {
        ROOT: str(ROOT),
        python: str(python),
        folder / "units": "/mnt/units",
        folder / "okr" / "releases": "/mnt/releases",
    }
    with booted(folder, binds, overlays={}) as machine:
        machine.run("sh", "-c", "mkdir -p /opt/okr /etc/okr /run/okr/api && cp -a /mnt/releases /opt/okr/releases")
        machine.run("sh", "-c", "cp /mnt/units/*.service /etc/systemd/system && cp /mnt/units/deploy.toml /etc/okr")
        machine.run("systemctl", "daemon-reload")
        yield machine


def deploy(machine: Machine, *arguments: str) -> tuple[int, str]:
    """Run `okr deploy` in the container; return its status and output."""
    secrets = {
        "OKR_DSN_OWNER": "postgresql://nobody@127.0.0.1:1/okr",
        "OKR_APP_PASSWORD": "a-password-of-the-app",
        "OKR_METRICS_TOKEN": "a-token-of-metrics",
    }
    command = (f"{ROOT}/.venv/bin/python", "-I", "-c", PROGRAM, "deploy", *arguments)
    done = machine.run(*command, environment=secrets | {"OKR_STATE": "/none"}, check=False)
    return done.returncode, done.stdout + done.stderr


def active(machine: Machine) -> set[str]:
    """Return the units of okr that run and start after a reboot; `okr-land` is any of the landing workers."""
    names = ("okr-api@blue", "okr-api@green", "okr-land@1", "okr-land@2", "okr-state")
    states = {
        name: tuple(
            machine.run("systemctl", word, name, check=False).stdout.strip() for word in ("is-active", "is-enabled")
        )
        for name in names
    }
    assert set(states.values()) <= {("active", "enabled"), ("inactive", "disabled")}, states
    found = [name for name, state in states.items() if state[0] == "active"]
    landing = [name for name in found if name.startswith("okr-land@")]
    assert len(landing) < 2, landing
    return {"okr-land" if name in landing else name for name in found}


def test_units_follow_the_release(machine: Machine) -> None:
    status, said = deploy(machine, "release", "v1")
    assert (status, "run `systemctl enable okr-api@blue` before" in said) == (1, True), said
    machine.run("systemctl", "enable", "okr-api@blue")
    status, said = deploy(machine, "release", "v1")
    assert status == 0, said
    machine.run("ln", "-sfn", "releases/v1", "/opt/okr/current")
    machine.run("systemctl", "enable", "--now", "okr-land@1", "okr-state")
    socket = Path(f"/proc/{machine.init}/root/run/okr/api/current.sock")
    with constant_load(socket) as answers:
        status, said = deploy(machine, "release", "v2")
        assert status == 0, said
        assert active(machine) == {"okr-api@green", "okr-land", "okr-state"}
        status, said = deploy(machine, "release", "bad")
        assert status == 1
        assert "journalctl -u okr-api@blue" in said, said
        assert active(machine) == {"okr-api@green", "okr-land", "okr-state"}
        status, said = deploy(machine, "release", "loops")
        assert (status, "ended soon after its start. `journalctl -u okr-" in said) == (1, True), said
        assert active(machine) == {"okr-api@green", "okr-land", "okr-state"}
        status, said = deploy(machine, "rollback")
        assert status == 0, said
        assert active(machine) == {"okr-api@blue", "okr-land", "okr-state"}
        status, said = deploy(machine, "restart")
        assert status == 0, said
        assert active(machine) == {"okr-api@green", "okr-land", "okr-state"}
    assert answers.failed() == []
    assert {line.split()[1] for line in deploy(machine, "status")[1].splitlines() if " running" in line} == {"v1"}
