"""`.ci/deploy` with an `ssh` that answers as hosts would. tests/ops/delivery runs it with the real `okr deploy`."""

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[3] / ".ci" / "deploy"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END OPENSSH PRIVATE KEY-----"
# Records a command and its host, checks how it was called, and answers as the file `answers` says.
SSH = """#!/bin/sh
here=${0%/*}
case "$*" in *StrictHostKeyChecking=yes*) ;; *) exit 97 ;; esac
[ "$3" = -i ] && [ "$(stat -c %a "$4")" = 600 ] && grep -q OPENSSH "$4" || exit 98
[ -z "${DEPLOY_SSH_KEY+set}${SMOKE_API_KEY+set}" ] || exit 99
shift $(($# - 3))
call="${1#*@}: ${3#sudo }"
echo "$call" >>"$here/calls"
count=$(grep -cxF "$call" "$here/calls")
line=$(grep -F "$call#$count\t" "$here/answers" || grep -F "$call\t" "$here/answers" || printf '\t0\t[]')
printf '%b\n' "$(printf %s "$line" | cut -f 3)"
exit "$(printf %s "$line" | cut -f 2)"
"""
SCP = '#!/bin/sh\nfor last; do :; done; echo "scp $last" >>"$(dirname "$0")/calls"\n'
STEPS = (
    "okr-release list", "okr installation audit --json", "okr-release install okr_lakehouse-2.0.0-py3-none-any.whl",
    "okr deploy release 2.0.0", "okr deploy check 2.0.0", "okr installation audit --json",
)  # fmt: skip


@dataclass
class Pipeline:
    folder: Path
    answers: dict[str, tuple[int, str]]
    program: Path = PROGRAM

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, list[str]]:
        """Return the status, the output, and the commands on hosts."""
        lines = (f"{call}\t{status}\t{text}\n" for call, (status, text) in self.answers.items())
        (self.folder / "answers").write_text("".join(lines))
        environment = {
            "PATH": f"{self.folder}:{os.environ['PATH']}", "DEPLOY_HOSTS": "deploy@one deploy@two",
            "DEPLOY_KNOWN_HOSTS": "one ssh-ed25519 AAAA", "DEPLOY_SSH_KEY": KEY, "DEPLOY_URL": "http://127.0.0.1:1",
            "SMOKE_API_KEY": "okr_smoke_key", "SMOKE_WAIT_S": "0",
        }  # fmt: skip
        done = subprocess.run(
            [self.program, *arguments], env=environment | variables, capture_output=True, text=True, check=False
        )
        calls = self.folder / "calls"
        said = done.stdout + done.stderr
        assert "OPENSSH" not in said
        assert "okr_smoke_key" not in said
        commands = [line for line in (calls.read_text().splitlines() if calls.exists() else ()) if "scp" not in line]
        return done.returncode, said, commands


@pytest.fixture
def dist(tmp_path: Path) -> str:
    """What `.ci/build` makes."""
    folder = tmp_path / "dist"
    folder.mkdir()
    wheel = folder / "okr_lakehouse-2.0.0-py3-none-any.whl"
    wheel.write_text("a wheel")
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n")
    return str(folder)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("ssh", SSH), ("scp", SCP)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return Pipeline(folder, {})


@pytest.fixture
def is_up(pipeline: Pipeline, tmp_path: Path) -> None:
    """Let the public address answer: run a copy of `.ci/deploy` beside a `smoke` that passes."""
    ci = tmp_path / "ci"
    ci.mkdir()
    (ci / "deploy").write_text(PROGRAM.read_text())
    (ci / "smoke").write_text("#!/bin/sh\necho smoke passed\n")
    for file in ci.iterdir():
        file.chmod(0o755)
    pipeline.program = ci / "deploy"


@pytest.mark.usefixtures("is_up")
def test_hosts_are_deployed_one_after_the_other_and_each_is_checked(pipeline, dist):
    status, said, commands = pipeline.run(dist)
    assert status == 0, said
    assert commands == [f"{host}: {step}" for host in ("one", "two") for step in STEPS]
    assert "2.0.0 serves on 2 hosts." in said


@pytest.mark.usefixtures("is_up")
def test_a_deployment_that_undid_itself_is_not_rolled_back_again(pipeline, dist):
    # A second rollback would go back one more release, or stop the service:
    # https://github.com/oleksandrdubyna88/dew_flow_connect_other_ais/pull/328
    pipeline.answers["one: okr deploy release 2.0.0"] = (1, "okr: Golden row 1 is wrong.")
    status, said, commands = pipeline.run(dist)
    assert status == 1
    assert commands == [f"one: {step}" for step in STEPS[:4]]
    assert "one: `okr deploy release 2.0.0` ended with status 1" in said
    assert "The earlier release serves on 0 hosts that had the new one." in said


@pytest.mark.usefixtures("is_up")
@pytest.mark.parametrize(
    ("failing", "hosts"),
    [
        ("one: okr deploy check 2.0.0", ["one"]),
        ("two: okr deploy release 2.0.0", ["one"]),
        ("two: okr deploy check 2.0.0", ["two", "one"]),
    ],
)
def test_a_failed_check_goes_back_on_every_host_that_has_the_release(pipeline, dist, failing, hosts):
    pipeline.answers[failing] = (1, "no")
    status, said, commands = pipeline.run(dist)
    assert status == 1, said
    back = [f"{host}: okr deploy {word}" for host in hosts for word in ("rollback", "check")]
    assert commands[commands.index(failing) + 1 :] == back


@pytest.mark.usefixtures("is_up")
def test_only_new_findings_of_the_audit_fail(pipeline, dist):
    old = [{"check": "accounts", "findings": [{"subject": "key okr_1"}]}]
    audit = "one: okr installation audit --json"
    pipeline.answers[audit] = (1, json.dumps(old))
    assert pipeline.run(dist)[0] == 0
    pipeline.answers[f"{audit}#4"] = (1, json.dumps([*old, {"check": "files", "findings": [{"subject": "/var/lib"}]}]))
    status, said, commands = pipeline.run(dist)
    assert status == 1
    assert "new findings: [('files', '/var/lib')]" in said
    assert commands[-1] == "one: okr deploy check"


@pytest.mark.usefixtures("is_up")
def test_a_rollback_that_fails_is_a_status_of_its_own_and_the_other_hosts_still_go_back(pipeline, dist):
    # A rollback that was rejected ended with status 0: https://github.com/boardsesh/boardsesh/pull/5040
    pipeline.answers |= {
        "two: okr deploy check 2.0.0": (1, "no"),
        "two: okr deploy rollback": (1, "no earlier release"),
    }
    status, said, commands = pipeline.run(dist)
    assert status == 3
    assert commands[-2:] == ["one: okr deploy rollback", "one: okr deploy check"]
    assert "NOT ROLLED BACK:\ndeploy@two: `okr deploy rollback` ended with status 1." in said
    assert "`okr deploy status`" in said


@pytest.mark.usefixtures("is_up")
def test_a_lost_connection_during_a_deployment_is_not_taken_for_a_rollback(pipeline, dist):
    pipeline.answers["two: okr deploy release 2.0.0"] = (255, "Connection reset by peer")
    status, said, commands = pipeline.run(dist)
    assert status == 3
    assert "The deployment may still run." in said
    assert commands[-2:] == ["one: okr deploy rollback", "one: okr deploy check"]


@pytest.mark.usefixtures("is_up")
@pytest.mark.parametrize(("installed", "status"), [(r"10.0.0 current\n2.0.0", 1), (r"2.0.0 current blue\n1.9.9", 0)])
def test_an_older_release_that_was_approved_too_late_is_refused(pipeline, dist, installed, status):
    pipeline.answers["one: okr-release list"] = (0, installed)
    found, said, commands = pipeline.run(dist)
    assert found == status, said
    if status:
        assert commands == ["one: okr-release list"]
        assert "has 10.0.0, which is newer than 2.0.0" in said


@pytest.mark.usefixtures("is_up")
def test_a_public_address_that_no_longer_answers_goes_back(pipeline, dist):
    smoke = pipeline.program.with_name("smoke")
    smoke.write_text('#!/bin/sh\n[ ! -e "$0.called" ] && touch "$0.called"\n')
    status, said, commands = pipeline.run(dist)
    assert status == 1
    assert "The public address no longer answers" in said
    assert commands[-4:] == [f"{host}: okr deploy {word}" for host in ("two", "one") for word in ("rollback", "check")]


def test_a_public_address_that_never_answered_does_not_go_back(pipeline, dist):
    # Every deployment was rolled back, because the runner could not reach the server:
    # https://github.com/Catrobat/Catroweb/pull/6461
    status, said, commands = pipeline.run(dist)
    assert status == 3
    assert "/livez: URLError" in said
    assert "before the deployment, either, so the release stays" in said
    assert commands == [f"{host}: {step}" for host in ("one", "two") for step in STEPS]


def test_a_wheel_that_was_changed_is_not_deployed(pipeline, dist):
    (Path(dist) / "okr_lakehouse-2.0.0-py3-none-any.whl").write_text("another wheel")
    status, said, commands = pipeline.run(dist)
    assert (status, commands) == (1, [])
    assert "do not have the checksums of the build" in said


@pytest.mark.parametrize("hosts", ["one", "-oProxyCommand=x", "deploy@one;reboot", "deploy@-one"])
def test_what_is_not_a_host_is_refused(pipeline, dist, hosts):
    status, said, commands = pipeline.run(dist, DEPLOY_HOSTS=hosts)
    assert (status, commands) == (1, [])
    assert "expected user@host" in said


def test_missing_variables_are_named(pipeline, dist):
    status, said, commands = pipeline.run(dist, DEPLOY_SSH_KEY="", DEPLOY_URL="")
    assert (status, commands) == (1, [])
    assert "Expected DEPLOY_SSH_KEY, DEPLOY_URL" in said


@pytest.mark.usefixtures("is_up")
def test_a_rollback_goes_back_on_all_hosts_in_the_opposite_order(pipeline):
    status, said, commands = pipeline.run("--rollback")
    assert status == 0, said
    assert commands == [f"{host}: okr deploy {word}" for host in ("two", "one") for word in ("rollback", "check")]
