"""`okr deploy` on a server with systemd: the second release replaces the first one while it serves, and goes back.

Of the other workers, only the state consumer is handed over, because restarts of Airflow take long.
"""

import time
from pathlib import Path

import pytest

from tests.figures import report
from tests.ops.deploy.load import Answers, constant_load
from tests.ops.server.conftest import FIRST, SECOND, Server

OKR = "/opt/okr/current/.venv/bin/okr"
SETTINGS = 'workers = ["okr-state"]\n[limits]\nwatch_s = 3\nstart_s = 240'


def expect(server: Server, release: str, api: str, landing: str, answers: Answers) -> None:
    """Assert that exactly these units run, from one release, and that no request has failed."""
    assert answers.failed() == []
    units = [api, landing, "okr-state"]
    assert server.is_active(*units)
    assert {unit: server.release_of(unit) for unit in units} == dict.fromkeys(units, release)
    others = {"okr-api@blue", "okr-api@green", "okr-land@1", "okr-land@2"} - {api, landing}
    assert [unit for unit in others if server.is_active(unit)] == []
    enabled = server.machine.run("systemctl", "is-enabled", *sorted(others), check=False).stdout.split()
    assert enabled == ["disabled", "disabled"]


@pytest.mark.timeout(900)
def test_a_release_is_deployed_and_rolled_back_without_a_failed_request(server: Server) -> None:
    download = {name: str(value) for name, value in dict(server.variables["okr_download_environment"]).items()}  # type: ignore[call-overload]
    wheel = f"/mnt/wheels/okr_lakehouse-{SECOND}-py3-none-any.whl"
    server.machine.run("okr-release", "install", wheel, environment=download)
    server.write("/etc/okr/deploy.toml", SETTINGS)
    socket = Path(f"/proc/{server.machine.init}/root/run/okr/api/current.sock")
    with constant_load(socket, "GET", "/livez") as answers:
        started = time.monotonic()
        said = server.machine.run(OKR, "deploy", "release", SECOND, seconds=400).stdout
        deployed_s = time.monotonic() - started
        expect(server, SECOND, "okr-api@green", "okr-land@2", answers)
        started = time.monotonic()
        server.machine.run(OKR, "deploy", "rollback", seconds=400)
        back_s = time.monotonic() - started
        expect(server, FIRST, "okr-api@blue", "okr-land@1", answers)
    assert "golden rows have the expected predictions" in said
    assert server.machine.output("okr-release", "list") == f"{SECOND} green\n{FIRST} current blue"
    report(
        "okr deploy on a server with systemd: API, landing and state consumer",
        ("", "seconds", "requests", "failed"),
        [
            ("deployment, of which 3 s watching", f"{deployed_s:.0f}", f"{answers.total:,} (both)", "0"),
            ("rollback", f"{back_s:.0f}", "", "0"),
        ],
    )
