"""A server as an operator sees it: provisioned, started, broken, upgraded, rolled back and rebooted.

The tests use one server, and each leaves it as it was.
"""

import re
import time
from collections.abc import Callable

import pytest

from ingestion.contract_validation import EncodedEvent
from ingestion.producer import EventProducer
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from tests.figures import report
from tests.infra.server.release_wheels import release_wheel
from tests.ops.server.conftest import FIRST, SECOND, SECRETS, SERVICES, Server, wheel
from tests.polling import until

pytestmark = pytest.mark.timeout(900)  # the server is provisioned in the first test
CheckIn = Callable[[int], EncodedEvent]
TIMERS = ("okr-maintenance.timer", "okr-certificates.timer", "okr-spools.timer")
SETTINGS = "/etc/okr/okr.env"


def seconds_until(true: Callable[[], object], what: str) -> float:
    """Return how long it took until a condition was true."""
    start = time.monotonic()
    until(true, what, seconds=120)
    return time.monotonic() - start


def test_a_provisioned_server_runs_all_services(server: Server) -> None:
    assert server.is_active(*SERVICES, *TIMERS, "okr.target"), server.machine.output("systemctl", "--failed")
    until(lambda: server.api("/readyz") == 200, "the API is ready")
    airflow, mlflow = (
        f"{server.setting('OKR_AIRFLOW_URL')}/api/v2/monitor/health",
        f"{server.setting('OKR_MLFLOW_URL')}/health",
    )
    until(lambda: server.get(airflow).count('"healthy"') == 4, "Airflow's four parts are healthy", 300)
    until(lambda: server.get(mlflow) == "OK", "MLflow responds")


def test_provisioning_again_changes_nothing(server: Server) -> None:
    start = time.monotonic()
    result = server.provision(okr_wheel=wheel(FIRST))
    server.seconds["provision again"] = time.monotonic() - start
    assert (result["changed"], result["failed"]) == (0, 0)


def test_events_land_in_a_lake_that_only_our_group_reads(server: Server, kafka: Settings, check_in: CheckIn) -> None:
    with EventProducer(KafkaConnection.of(kafka)) as producer:
        for number in range(100):
            producer.send(check_in(number))
        producer.flush()
    files = ("find", "/var/lib/okr/lake/okr_user_events", "-name", "*.parquet", "-printf", "%u %g %m\n")
    found = until(lambda: server.machine.run(*files, check=False).stdout, "the events are in the lake")
    assert set(found.splitlines()) == {"okr-land okr 660"}
    assert server.machine.output("stat", "-c", "%U %G %a", "/var/lib/okr/lake") == "okr-land okr 2770"


def test_maintenance_runs_with_its_secrets(server: Server) -> None:
    server.machine.run("systemctl", "start", "okr-maintenance.service")
    assert any("maintained" in line for line in server.machine.journal("okr-maintenance.service"))
    assert server.is_active("okr-maintenance.timer")


@pytest.mark.parametrize("unit", [name for name in SERVICES if name.startswith("okr-a") or name == "okr-land@1"])
def test_a_process_is_sandboxed_and_unprivileged(server: Server, unit: str) -> None:
    pid = server.machine.property(unit, "MainPID")
    status = dict(line.split(":\t", 1) for line in server.machine.output("cat", f"/proc/{pid}/status").splitlines())
    assert (status["CapBnd"], status["NoNewPrivs"], status["Seccomp"]) == ("0" * 16, "1", "2")
    assert server.machine.output("stat", "-c", "%U", f"/proc/{pid}") == server.machine.property(unit, "User")
    for path, error in (("/etc/x", "Read-only"), ("/opt/okr/x", "Read-only"), ("/home/x", "Permission|Read-only")):
        refused = server.machine.run("nsenter", "-t", pid, "-m", "--", "touch", path, check=False)
        assert re.search(error, refused.stderr), refused


def test_secrets_are_readable_by_their_service_only(server: Server) -> None:
    shown = server.machine.output("stat", "-c", "%U %a", *(f"/etc/okr/secrets/okr_{name}" for name in SECRETS))
    assert set(shown.splitlines()) == {"root 600"}
    assert server.machine.output("stat", "-c", "%a", "/etc/okr/secrets") == "700"
    pid = server.machine.property("okr-api@blue", "MainPID")
    for file in (f"/proc/{pid}/environ", f"/proc/{pid}/cmdline", SETTINGS):
        text = server.machine.output("cat", file)
        assert not [name for name in SECRETS if server.secret(name) in text], file
    foreign = ("setpriv", "--reuid=okr-land", "--regid=okr", "--clear-groups", "cat")
    assert server.machine.run(*foreign, "/run/credentials/okr-api@blue.service/okr_jwt_secret", check=False).returncode
    journal = server.machine.output("journalctl", "--no-pager", "--output", "cat")
    assert not [name for name in SECRETS if server.secret(name) in journal]


def test_only_the_proxys_group_connects_to_the_api(server: Server) -> None:
    assert server.machine.output("stat", "-c", "%U %G %a", "/run/okr/api/blue.sock") == "okr-api okr-web 660"
    call = ("curl", "-s", "-o", "/dev/null", "--unix-socket", "/run/okr/api/current.sock", "http://localhost/livez")
    as_nobody = ("setpriv", "--reuid=nobody", "--clear-groups", "--regid")
    assert server.machine.run(*as_nobody, "nogroup", *call, check=False).returncode == 7
    assert server.machine.run(*as_nobody, "okr-web", *call, check=False).returncode == 0


@pytest.mark.parametrize("unit", ["okr-api@blue", "okr-land@1", "okr-airflow-scheduler"])
def test_a_killed_process_is_restarted(server: Server, unit: str) -> None:
    before = server.machine.property(unit, "MainPID")
    server.machine.run("kill", "-9", before)
    seconds = seconds_until(
        lambda: server.is_active(unit) and server.machine.property(unit, "MainPID") not in (before, "0"),
        f"{unit} runs again",
    )
    server.seconds[f"restart of {unit} after kill -9"] = seconds
    assert server.machine.property(unit, "NRestarts") != "0"
    if unit.startswith("okr-api"):
        until(lambda: server.api("/readyz") == 200, "the API is ready")


def test_a_process_that_hangs_is_restarted(server: Server) -> None:
    """The limit of the unit is 15 minutes."""
    unit, folder = "okr-land@1", "/run/systemd/system/okr-land@1.service.d"
    server.machine.run("mkdir", folder)
    server.write(f"{folder}/quick.conf", "[Service]\nWatchdogSec=5")
    server.machine.run("systemctl", "daemon-reload")
    server.machine.run("systemctl", "restart", unit)
    before = server.machine.property(unit, "MainPID")
    server.machine.run("kill", "-STOP", before)
    until(lambda: server.machine.property(unit, "MainPID") not in (before, "0"), "another process was started")
    server.machine.run("rm", "-r", folder)
    server.machine.run("systemctl", "daemon-reload")
    assert any("Watchdog timeout" in line for line in server.machine.journal(unit))
    until(lambda: server.is_active(unit), "landing is ready")


def test_an_error_in_the_settings_is_shown_in_one_line_and_its_correction_takes_effect(server: Server) -> None:
    line = "OKR_KAFKA_BOOTSTRP is not a setting. Did you mean OKR_KAFKA_BOOTSTRAP?"
    since = server.machine.output("date", "+%s")
    server.machine.run("sh", "-c", f"echo OKR_KAFKA_BOOTSTRP=kafka >> {SETTINGS}")
    try:
        assert server.machine.run("systemctl", "restart", "okr-state", check=False).returncode != 0
        status = ("systemctl", "status", "--no-pager", "--full", "okr-state")
        until(lambda: line in server.machine.run(*status, check=False).stdout, "systemctl status shows the error")
        assert "Traceback" not in server.machine.output("journalctl", "-u", "okr-state", "--since", f"@{since}")
    finally:
        server.machine.run("sed", "-i", "$d", SETTINGS)
    until(lambda: server.is_active("okr-state"), "okr-state started by itself")


def test_a_missing_secret_is_named(server: Server) -> None:
    """An optional secret may be empty; a required one is reported by its setting."""
    file = "/etc/okr/secrets/okr_dsn_loader"
    server.machine.run("cp", "-p", file, "/root/kept")
    server.machine.run("truncate", "-s", "0", file)
    try:
        assert server.machine.run("systemctl", "restart", "okr-metrics", "okr-state", check=False).returncode != 0
        assert "OKR_DSN_LOADER is required, but empty." in " ".join(server.machine.journal("okr-state"))
    finally:
        server.machine.run("cp", "-p", "/root/kept", file)
    until(lambda: server.is_active("okr-metrics", "okr-state"), "both started by themselves")


def test_a_second_release_is_installed_used_and_rolled_back(server: Server) -> None:
    start = time.monotonic()
    result = server.provision("--tags", "release", okr_wheel=wheel(SECOND))
    server.seconds["install the second release"] = time.monotonic() - start
    assert result["changed"] == 2, "the wheel was copied and installed"
    assert server.machine.output("okr-release", "list") == f"{SECOND}\n{FIRST} current blue"
    assert {server.release_of(unit) for unit in ("okr-api@blue", "okr-land@1")} == {FIRST}
    for version in (SECOND, FIRST):
        start = time.monotonic()
        server.machine.run("okr-release", "use", version, "current", "blue")
        assert server.release_of("okr-land@1") != version, "a running process keeps its release"
        server.machine.run("systemctl", "restart", "okr-api@blue", "okr-land@1")
        server.seconds[f"API and landing change to release {version}"] = time.monotonic() - start
        assert {server.release_of(unit) for unit in ("okr-api@blue", "okr-land@1")} == {version}
        until(lambda: server.api("/readyz") == 200, "the API is ready")


def test_a_full_disk_leaves_the_installed_releases(server: Server) -> None:
    small, wheels = "/srv/small", server.wheels
    tool = ("okr-release", "--root", small, "--uv", "/opt/okr/uv/bin/uv")
    server.machine.run("mkdir", small)
    server.machine.run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small)
    try:
        copies = {"UV_LINK_MODE": "copy", "UV_CACHE_DIR": "/root/uv", "UV_OFFLINE": "1"}
        release_wheel(wheels, "2.0"), release_wheel(wheels, "2.1", okr="#!/bin/sh\nexit 0\n#" + "x" * 3_000_000)
        server.machine.run(*tool, "install", "/mnt/wheels/okr_lakehouse-2.0-py3-none-any.whl", environment=copies)
        server.machine.run(*tool, "use", "2.0", "current")
        full = ("install", "/mnt/wheels/okr_lakehouse-2.1-py3-none-any.whl")
        failed = server.machine.run(*tool, *full, check=False, environment=copies)
        assert failed.returncode == 1
        assert "No space left on device" in failed.stderr
        assert server.machine.output(*tool, "list") == "2.0 current"
        assert server.machine.output(f"{small}/current/.venv/bin/okr") == "2.0"
        assert server.machine.output("ls", "-A", f"{small}/releases").split() == [".lock", "2.0"]
    finally:
        server.machine.run("umount", small)


def test_after_a_reboot_all_services_run_again(server: Server) -> None:
    before = server.machine.output("okr-release", "list")
    start = time.monotonic()
    server.machine.reboot()
    until(lambda: server.is_active(*SERVICES, *TIMERS), "all services run", seconds=180)
    server.seconds["reboot until all services run"] = time.monotonic() - start
    until(lambda: server.api("/readyz") == 200, "the API is ready")
    assert server.machine.output("okr-release", "list") == before


def test_figures(server: Server) -> None:
    report(
        "A server in a container: durations",
        ("step", "seconds"),
        [(step, f"{seconds:.1f}") for step, seconds in server.seconds.items()],
        "Packages come from a cache on this machine and are not compiled, so processes start more slowly than usual.",
    )
    assert server.seconds
