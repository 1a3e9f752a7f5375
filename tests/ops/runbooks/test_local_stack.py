"""The commands of the runbooks, on a local stack without Airflow that is broken in the ways that they describe.

Every "First look" and "Verify" command runs on the running stack. Then the stack is broken, one fault after the other:
the first look must show it, the fix must work as written, and the check must pass. Only `okr up` gets the services of
this stack.
"""

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.figures import report
from tests.polling import until
from tests.runbooks import BLOCK, FOLDER, LOCAL, PAGES, ROOT, Line, lines

pytestmark = pytest.mark.timeout(1800)

SERVICES = "postgres,kafka,redis,mlflow,api,land,state,metrics,guard"
LIMIT_S = 300
CURL_FAILED = (7, 22, 28)  # no connection, an error status, no answer in time
# Fixes that do not run here, each with the place where they do, or the reason.
ELSEWHERE = {
    "gate-refused": "starts a DAG; tests/e2e",
    "pipeline-failed": "starts a DAG; tests/e2e",
    "publication-stale": "starts a DAG; tests/e2e",
    "restore": "tests/ops/backup/test_drills.py",
    "secret-in-history": "changes the index of this repository; tests/ops/delivery/test_hooks.py",
    "rotate-certificates": "tests/infra/certificates",
    "secret-lost": "runs the playbook, as tests/ops/server does",
    "backup-stale": "tests/ops/backup",
    "backup-unverified": "tests/ops/backup",
}


@dataclass
class Stack:
    """A stack in a folder with a short name, and what was run on it."""

    state: Path
    ran: list[Line] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def shell(self, text: str) -> tuple[int, str]:
        """Run a command as the index of the runbooks says; return its status and output."""
        blocks = [block[2] for block in BLOCK.finditer((FOLDER / "README.md").read_text()) if block[1] == LOCAL]
        script = "\n".join([*blocks, "set -o pipefail", text]).replace(".state", str(self.state))
        script = script.replace(f"$PWD/{self.state}", str(self.state))
        script = re.sub(r"(okr up)$", rf"\1 --only {SERVICES}", script, flags=re.MULTILINE)
        variables = {name: os.environ[name] for name in ("HOME", "PATH", "XDG_CACHE_HOME") if name in os.environ}
        done = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=variables | {"OKR_STATE": str(self.state)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def run(self, line: Line, statuses: tuple[int, ...] = (0, 1)) -> str:
        """Run a line of a runbook, and return its output and status."""
        status, said = self.shell(line.text)
        if "curl" in line.text and line.section == "First look":
            statuses = (*statuses, *CURL_FAILED)
        assert status in statuses, f"{line}: status {status}\n{said}"
        assert not re.search("Traceback|command not found|Usage: okr", said), f"{line}\n{said}"
        self.ran.append(line)
        return f"{said}[status {status}]"

    def look(self, page: str) -> str:
        """Run the first look of a runbook, and return what it shows."""
        return "\n".join(self.run(line) for line in local(page, "First look"))

    def fix(self, page: str) -> None:
        """Run the fix of a runbook, and wait until its check passes."""
        started = time.monotonic()
        for line in local(page, "Fix"):
            # The collector can add an event while another process drains its spool.
            self.run(line, (0, 1) if "spool drain" in line.text else (0,))
        for line in local(page, "Verify"):
            until(lambda line=line: self.passes(line), str(line), seconds=120, pause=1)
            self.ran.append(line)
        self.seconds[page] = time.monotonic() - started

    def passes(self, line: Line) -> bool:
        """Return whether a check passes, apart from Airflow, which this stack does not have."""
        status, said = self.shell(line.text)
        if line.text.endswith("okr status"):
            return all(re.search(rf"\b{name} .*RUNNING", said) for name in SERVICES.split(","))
        if line.text.endswith("okr config connect"):
            return "ok  " in said and not [each for each in re.findall("^FAIL.*", said, re.M) if "AIRFLOW" not in each]
        if line.text.endswith("okr produce spool status"):
            return waiting(self) == 0
        return status == 0

    def okr(self, *words: str) -> str:
        """Run a command of the test's own."""
        status, said = self.shell(f".venv/bin/okr {' '.join(words)}")
        assert status == 0, said
        return said

    def supervise(self, *words: str) -> None:
        """Start or stop services as somebody would by hand."""
        self.shell(f".venv/bin/supervisorctl -s unix://{self.state}/run/supervisor.sock {' '.join(words)}")


def local(page: str, section: str) -> list[Line]:
    return [*lines(FOLDER / f"{page}.md", section, where=LOCAL)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="rb", dir="/tmp") as folder:  # the path of a socket may have 107 bytes
        # A state folder is private, and must not exist before.
        stack = Stack(Path(folder) / "s")
        okr = ROOT / ".venv" / "bin" / "okr"
        environment = os.environ | {"OKR_STATE": str(stack.state)}
        subprocess.run([okr, "up", "--only", SERVICES], env=environment, check=True, timeout=900)
        try:
            stack.okr("produce", "live", "--seconds", "2", "--rate", "100")
            until(lambda: '"okr_user_events"' in stack.okr("lake", "status", "--json"), "something landed", pause=1)
            stack.okr("load")
            yield stack
        finally:
            subprocess.run([okr, "clean"], env=environment, check=False, timeout=300)


def test_every_fix_runs_here_or_elsewhere() -> None:
    with_a_fix = {page.stem for page in PAGES if local(page.stem, "Fix")}
    assert with_a_fix == FAULTS.keys() | HEALTHY_FIXES | ELSEWHERE.keys()


def test_every_first_look_and_check_can_be_run_at_any_time(stack: Stack) -> None:
    read_only = {line.text: line for page in PAGES for line in lines(page, "First look", "Verify", where=LOCAL)}
    assert len(read_only) > 40
    for text, line in read_only.items():
        if text != ".venv/bin/python .ci/scan secrets":  # a minute; `make scan` runs it
            stack.run(line)


def landing_stops(stack: Stack) -> str:
    stack.supervise("stop", "okr:land")
    stack.okr("produce", "live", "--seconds", "2", "--rate", "100")
    return r"land .*STOPPED"


def events_are_on_their_way(stack: Stack) -> str:
    landing_stops(stack)
    return r"okr_user_events +\d+ +[1-9]"  # unlanded


def redis_refuses_connections(stack: Stack) -> str:
    stack.supervise("stop", "okr:redis")
    return r"FAIL +OKR_REDIS"


def the_state_consumer_stops(stack: Stack) -> str:
    stack.supervise("stop", "okr:state")
    return r"state .*STOPPED"


def redis_is_killed_for_good(stack: Stack) -> str:
    stack.supervise("stop", "okr:redis")
    return r"redis .*STOPPED"


def kafka_is_away(stack: Stack) -> str:
    """The metrics collector keeps its events on the disk meanwhile."""
    stack.supervise("stop", "okr:kafka")
    until(lambda: waiting(stack) > 0, "events wait in a spool", seconds=180, pause=2)
    return r"kafka .*STOPPED"


def waiting(stack: Stack) -> int:
    return sum(each["waiting"] for each in json.loads(stack.okr("produce", "spool", "status", "--json")).values())


def the_last_commit_is_torn(stack: Stack) -> str:
    stack.supervise("stop", "okr:land")
    log = stack.state / "lake" / "okr_user_events" / "_delta_log"
    last = max(log.glob("*.json"))
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    return "torn|cannot be read"


def the_api_hangs(stack: Stack) -> str:
    _, said = stack.shell(f".venv/bin/supervisorctl -s unix://{stack.state}/run/supervisor.sock pid okr:api")
    main = psutil.Process(int(said.split()[-1]))
    for process in (main, *main.children(recursive=True)):
        process.suspend()
    return r"\[status 28\]"


def everything_is_stopped(stack: Stack) -> str:
    stack.okr("down")
    return "DOWN|not running"


def services_end(name: str) -> Callable[[Stack], str]:
    def end(stack: Stack) -> str:
        stack.supervise("stop", f"okr:{name}")
        return rf"{name} .*STOPPED"

    return end


FAULTS: dict[str, Callable[[Stack], str]] = {
    "landing-stalled": landing_stops,
    "consumer-lag": the_state_consumer_stops,
    "ledger-gap": events_are_on_their_way,
    "service-down": redis_is_killed_for_good,
    "service-restart-loop": services_end("guard"),
    "endpoint-probe-failed": services_end("api"),
    "certificate-expired": redis_refuses_connections,
    "kafka-offline-partitions": services_end("kafka"),
    "offset-out-of-range": services_end("land"),
    "spool-filling": kafka_is_away,
    "lake-repair": the_last_commit_is_torn,
    "api-error-rate": the_api_hangs,
    "target-down": services_end("metrics"),
    "measurement-failing": services_end("metrics"),
    "host-high-memory": services_end("state"),
    "disaster": everything_is_stopped,
}
# Their commands do no harm on a healthy stack, and the fault itself cannot be made cheaply.
HEALTHY_FIXES = {
    "certificate-expiring", "host-disk-full", "lake-full", "ledger-stale", "postgres-connections-high",
    "publication-held", "redis-memory-high", "rotate-keys", "spool", "spool-rejected", "upgrade",
}  # fmt: skip


@pytest.mark.parametrize("page", FAULTS)
def test_a_fault_is_seen_and_fixed_by_its_runbook(stack: Stack, page: str) -> None:
    expected = FAULTS[page](stack)
    try:
        seen = stack.look(page)
        assert re.search(expected, seen), seen
        stack.fix(page)
    finally:
        stack.shell(".venv/bin/okr up")  # whatever the runbook did, the next fault begins with a whole stack


@pytest.mark.parametrize("page", sorted(HEALTHY_FIXES))
def test_a_fix_does_no_harm_on_a_healthy_stack(stack: Stack, page: str) -> None:
    for line in local(page, "Fix"):
        stack.run(line)
    assert stack.shell(".venv/bin/okr status")[0] in {0, 1}


def test_nothing_was_lost_meanwhile(stack: Stack) -> None:
    until(lambda: waiting(stack) == 0, "the spools are empty", seconds=120, pause=2)
    stack.okr("load")
    stack.okr("lake", "verify")
    commands = len({(line.page, line.text) for line in stack.ran})
    report(
        "Runbooks on a local stack",
        ("", "figure"),
        [
            ["runbooks", str(len(PAGES))],
            ["commands of runbooks that were run", str(commands)],
            ["faults that were made, seen and fixed", str(len(stack.seconds))],
            [
                "longest time from the first command of the fix to the passed check",
                f"{max(stack.seconds.values()):.0f} s",
            ],
        ],
    )
