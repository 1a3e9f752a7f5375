"""The scans of this project pass, and the figures of the pipeline."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.figures import report
from tests.infra.delivery.test_workflows import FILES, RUN_HERE, VALIDATED, steps

ROOT = Path(__file__).parents[3]
SCANS = ("code", "secrets", "workflows", "licences", "sbom", "vulnerabilities")


@pytest.mark.timeout(900)
def test_the_scans_of_this_project_pass() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "scan", *SCANS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    results = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert results.keys() == {*SCANS}
    in_ci = sum(where.startswith(".ci/run") for where in RUN_HERE.values())
    actions = {step["uses"].split("@")[0] for _, step in steps() if "uses" in step}
    report(
        "Delivery",
        ("", "figure"),
        [
            ["workflows", str(len(FILES))],
            ["commands of workflows that the checks here run (`.ci/run`)", str(in_ci)],
            ["commands that a test runs", str(len(RUN_HERE) - in_ci)],
            ["commands that are only validated", str(len(VALIDATED))],
            ["actions, each pinned by its hash", str(len(actions))],
            *([f"scan `{name}`", results[name]] for name in SCANS),
        ],
    )
