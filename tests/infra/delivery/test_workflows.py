"""The workflows of GitHub Actions: pinned, with few rights, thin; each of their commands is run somewhere.

GitHub itself does not run here. `RUN_HERE` says where each command of a workflow is run instead; the others are only
validated. docs/delivery.md has the same table, and a test compares the two.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
RUN_HERE = {
    "make lint": ".ci/run",
    "make type": ".ci/run",
    "make check-docs": ".ci/run (part of make test)",
    'make test SHARD="$SHARD/6"': ".ci/run (all shards at once); tests/infra/delivery/test_shards.py",
    "make test-faults": ".ci/run",
    "make demo": ".ci/run",
    ".venv/bin/okr lake verify": ".ci/run",
    "make down": ".ci/run",
    "make scan ARGS=--delivery": ".ci/run (without --delivery); tests/ops/audit/test_scan.py",
    'make scan ARGS="--delivery vulnerabilities"': "tests/ops/audit/test_scan.py (with a small server of OSV's API)",
    ".ci/all-passed": "tests/infra/delivery/test_workflows.py",
    ".ci/build": "tests/ops/delivery/test_build.py",
    ".ci/deploy dist": "tests/infra/delivery/test_deploy.py, tests/ops/delivery/test_pipeline.py",
    ".ci/deploy --rollback": "tests/infra/delivery/test_deploy.py",
    ".ci/publish dist": "tests/infra/delivery/test_publish.py (with a gh that only records)",
}
VALIDATED = {
    ".ci/osv requirements": "the database OSV is not reachable",
    ".ci/images": "pushes to a registry; tests/ops/containers builds and runs the same images",
}


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in FILES:
        for name, job in yaml.safe_load(file.read_text())["jobs"].items():
            for step in job.get("steps", ()):
                yield f"{file.stem}/{name}", step


def test_every_command_is_run_here_or_listed_as_only_validated():
    commands = {step["run"] for _, step in steps() if "run" in step}
    assert commands == RUN_HERE.keys() | VALIDATED.keys()


@pytest.mark.parametrize("command", [command for command, where in RUN_HERE.items() if where.startswith(".ci/run")])
def test_what_is_said_to_run_in_the_checks_is_there(command):
    target = re.match(r"make [a-z-]+|\S+ \S+ \S+", command.replace("check-docs", "test"))
    assert target is not None
    assert target[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [command for command, where in RUN_HERE.items() if "tests/" in where])
def test_the_tests_that_run_a_command_exist(command):
    for file in re.findall(r"tests/[\w/.]+\.py", RUN_HERE[command]):
        assert (ROOT / file).is_file(), file


def test_the_page_lists_the_commands_that_are_only_validated():
    page = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
    table = page.partition("| only validated |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == VALIDATED.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_pinned_by_its_hash_with_its_version(file):
    uses = [line.strip().removeprefix("- ") for line in file.read_text().splitlines() if "uses: " in line]
    for line in uses:
        assert line.startswith("uses: ./.github/workflows/") or PINNED.fullmatch(line), line


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_rights_are_given_to_jobs_only_and_jobs_end(file):
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {}, "a workflow has no right; each job names its own"
    assert "concurrency" in workflow or file.stem == "checks", "only checks is called by others"
    for name, job in workflow["jobs"].items():
        assert job["permissions"], name
        assert "uses" in job or job["timeout-minutes"] <= 60, name
        writes = {right for right, level in job["permissions"].items() if level == "write"}
        assert not writes or name in {"attest", "images", "publish"}, (name, writes)


def test_no_job_that_signs_runs_code_of_the_project():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    assert {step["uses"].split("@")[0] for step in jobs["attest"]["steps"]} == {
        "actions/download-artifact", "actions/attest-build-provenance",
    }  # fmt: skip


def test_commands_are_one_line_and_contain_no_expression():
    for where, step in steps():
        command = step.get("run", "")
        assert "\n" not in command, where
        assert "${{" not in command, f"{where}: pass it as a variable, which the shell does not interpret"
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, where


def test_deployments_are_never_cancelled_and_share_a_group_with_the_rollback():
    # A deployment that is cancelled halfway leaves two releases; a rollback beside one could be undone by it
    # (https://github.com/bsarkarlabs-stack/bff-demo/issues/73, https://github.com/RackulaLives/Rackula/pull/3216).
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    rollback = yaml.safe_load((ROOT / ".github" / "workflows" / "rollback.yml").read_text())
    assert rollback["concurrency"] == {"group": "deploy-${{ inputs.environment }}", "cancel-in-progress": False}
    for name in ("staging", "production"):
        assert jobs[name]["concurrency"] == {"group": f"deploy-{name}", "cancel-in-progress": False}
        assert jobs[name]["environment"] == name
    assert {"staging", "images"} <= {*jobs["production"]["needs"]}


def test_the_scan_of_secrets_gets_the_whole_history():
    # With fetch-depth 1, gitleaks finds nothing and passes (https://github.com/gitleaks/gitleaks/issues/1033).
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text())["jobs"]
    assert jobs["security"]["steps"][0]["with"]["fetch-depth"] == 0


def test_secrets_reach_only_the_step_that_needs_them():
    for where, step in steps():
        if "secrets." in json.dumps(step):
            assert step["run"].startswith(".ci/deploy"), where


@pytest.mark.parametrize(
    ("results", "status"),
    [
        (("success", "success"), 0),
        (("success", "skipped"), 1),
        (("failure", "success"), 1),
        (("cancelled",), 1),
        ((), 5),
    ],
)
def test_all_passed_counts_a_skipped_job_as_failed(results, status):
    needs = json.dumps({f"job-{number}": {"result": result} for number, result in enumerate(results)})
    done = subprocess.run(
        [ROOT / ".ci" / "all-passed"], env=os.environ | {"NEEDS": needs}, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done
    assert ("All checks have passed." in done.stdout) == (status == 0)


def test_every_path_of_the_code_owners_exists():
    lines = (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    assert rules[0][0] == "*"
    for path, *owners in rules[1:]:
        assert (ROOT / path.lstrip("/")).exists(), path
        assert owners, path
