"""Each unit is valid, and its sandbox leaves little exposed (`systemd-analyze`)."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.figures import report
from tests.ops.conftest import RequirePrograms
from tests.ops.server.releases import ROOT

UNITS = ROOT / "infra/server/systemd"
LIMIT = 2.5


@pytest.fixture(scope="module")
def installed(require_programs: RequirePrograms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root folder with the units and the programs that they start."""
    require_programs("systemd-analyze")
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(UNITS, root / "etc/systemd/system")
    programs = ["/bin/sh", "/bin/kill", "/usr/local/lib/okr/check-certificates"]
    programs += [f"/opt/okr/{link}/.venv/bin/okr" for link in ("current", "blue", "green")]
    for program in programs:
        file = root / program.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o755)
    return root


def services() -> list[str]:
    """Return the services, with an instance for each template."""
    names = sorted(path.name for path in UNITS.glob("*.service"))
    return [name.replace("@", "@blue" if "land" not in name else "@1") for name in names]


def test_the_exposure_of_each_unit_is_low(installed: Path) -> None:
    scores = {name: exposure(installed, name) for name in services()}
    report(
        "Exposure of the systemd units",
        ("unit", "exposure"),
        [(f"`{name}`", f"{score:.1f}") for name, score in scores.items()],
        f"`systemd-analyze security`: 0 (nothing exposed) to 10; the limit is {LIMIT}. Without a sandbox: 9.6.",
    )
    assert {name: score for name, score in scores.items() if score > LIMIT} == {}


def exposure(root: Path, unit: str) -> float:
    """Return systemd's score of a unit."""
    command = ["systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager", unit]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return float(shown.rpartition(": ")[2].split()[0])


@pytest.mark.parametrize(
    "unit", [*services(), "okr.target", "okr-maintenance.timer", "okr-certificates.timer", "okr-spools.timer"]
)
def test_systemd_accepts_each_unit(installed: Path, unit: str) -> None:
    command = ["systemd-analyze", "verify", f"--root={installed}", "--man=no", "--recursive-errors=no", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_unit_that_is_exposed_would_be_found(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(installed, tmp_path / "root")
    (tmp_path / "root/etc/systemd/system/okr-.service.d/50-common.conf").unlink()
    assert exposure(tmp_path / "root", "okr-state.service") > LIMIT


def test_the_playbook_follows_the_rules_of_ansible_lint(require_programs: RequirePrograms, tmp_path: Path) -> None:
    """Also what only Oracle Linux has, which is not run here."""
    require_programs()
    shutil.copytree(ROOT / "infra/server", tmp_path / "infra/server")
    lint = ROOT / ".venv/bin/ansible-lint"
    command = [lint, "--offline", "--profile", "production", "--nocolor", "infra/server"]
    environment = {"PATH": f"{lint.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
