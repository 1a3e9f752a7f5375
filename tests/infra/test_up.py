"""`okr up`: on a new folder, on a running stack, and where something is in its way."""

import os
import socket
from pathlib import Path

import psutil
import psycopg
import pytest

from infra.local import ports
from infra.local.code_fingerprint import FINGERPRINT_FILE, fingerprint
from infra.local.database_migrations import Warehouse
from infra.local.postgres import Postgres, remove_stale_lock
from infra.local.processes import stack_processes
from infra.local.redis import Redis
from infra.local.services import NAMES, select
from infra.local.short_paths import private_folder
from infra.local.stack import open_stack
from infra.local.start import _Startup, up
from infra.local.stop import down
from infra.local.supervisor import Supervisor
from lakehouse.errors import PermanentError
from tests.infra.lifecycle import BOTH, is_healthy, service_pid, start_as_another_version


def test_a_second_up_leaves_running_services_alone(state: Path) -> None:
    first = up(state, BOTH, print)
    before = service_pid(first, "postgres")
    second = up(state, BOTH, print)
    assert service_pid(second, "postgres") == before
    assert first.env == second.env


def test_data_outlives_down_and_up(state: Path) -> None:
    stack = up(state, BOTH, print)
    with psycopg.connect(stack.env["OKR_PG_SUPERUSER_DSN"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    down(state, print)
    stack = up(state, BOTH, print)
    with psycopg.connect(stack.env["OKR_PG_SUPERUSER_DSN"]) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)


def test_up_moves_to_other_ports_when_a_port_is_taken_and_says_so(state: Path) -> None:
    stack = up(state, ("redis",), print)
    said: list[str] = []
    with socket.socket() as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        foreign.bind((ports.LOOPBACK, stack.port("postgres")))
        foreign.listen()
        moved = up(state, ("postgres",), said.append)
    assert is_healthy(moved)  # Redis too, which ran before and had to move along
    assert "Another program has taken the port of postgres: restarting the stack on new ports." in said


def test_up_after_a_killed_supervisor_takes_over_on_the_same_ports(state: Path) -> None:
    stack = up(state, BOTH, print)
    Supervisor(stack).process().kill()
    again = up(state, BOTH, print)
    assert is_healthy(again)
    assert again.port("postgres") == stack.port("postgres")
    assert len([each for each in stack_processes(again) if each.name() == "redis-server"]) == 1


def test_up_restarts_a_stack_started_by_a_version_with_other_services(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = start_as_another_version(state, monkeypatch)
    said: list[str] = []
    up(state, select("redis"), said.append)
    assert any("Another version" in line for line in said)
    assert Supervisor(stack).states().keys() == set(NAMES)
    Redis(stack).check()


def test_services_that_use_the_warehouse_are_stopped_only_while_its_schema_changes(state: Path) -> None:
    """A state consumer of an older release rejected events because it did not fill new columns."""
    stack = up(state, BOTH, print)
    supervisor, said = Supervisor(stack), list[str]()
    startup = _Startup(stack, supervisor, BOTH, said.append)

    def is_running() -> bool:
        return supervisor.states()["api"]["statename"] in {"STARTING", "RUNNING"}

    supervisor.start("api")
    first = service_pid(stack, "api")
    startup._migrate(Warehouse(stack))
    assert said == [
        "Migrating the schema of warehouse: stopping the services that use it; they are restarted afterwards.",
        "Stopping api ...",
    ]
    assert not psutil.pid_exists(first)
    assert is_running(), "no other step would start it again"
    said.clear()
    startup._migrate(Warehouse(stack))
    assert said == []


def test_a_lock_file_left_from_before_a_reboot_does_not_prevent_a_start(state: Path) -> None:
    stack = up(state, ("postgres",), print)
    down(state, print)
    lock = Postgres(stack).data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{Postgres(stack).data}\n", encoding="ascii")  # the id belongs to us now
    assert Postgres(up(state, ("postgres",), print)).check() is None


def test_the_lock_file_of_a_running_server_is_kept(state: Path) -> None:
    data = Postgres(up(state, ("postgres",), print)).data
    remove_stale_lock(data)
    assert (data / "postmaster.pid").exists()


def test_an_interrupted_initdb_is_restarted(state: Path) -> None:
    stack = up(state, ("redis",), print)
    postgres = Postgres(stack)
    postgres.data.mkdir(parents=True)
    (postgres.data / "PG_VERSION").write_text("18\n", encoding="ascii")
    (postgres.data.parent / "initialising").touch()
    assert is_healthy(up(state, BOTH, print))


def test_a_service_that_cannot_start_is_named_with_its_last_output_and_its_log(state: Path) -> None:
    stack = up(state, ("redis",), print)
    postgres = Postgres(stack)
    postgres.data.mkdir(parents=True)
    (postgres.data / "PG_VERSION").write_text("18\n", encoding="ascii")
    with pytest.raises(PermanentError, match=r"postgres keeps exiting after it starts: .* -- see .*postgres\.log"):
        up(state, ("postgres",), print)


def test_passwords_that_no_longer_match_are_reported(state: Path) -> None:
    up(state, ("postgres",), print)
    down(state, print)
    (state / "stack.env").unlink()
    with pytest.raises(PermanentError, match="was created with different passwords from those in"):
        up(state, ("postgres",), print)


def test_a_short_folder_with_unsafe_permissions_is_refused(state: Path) -> None:
    folder = private_folder(state)
    folder.chmod(0o777)
    try:
        with pytest.raises(PermanentError, match="is not a private folder of this user"):
            up(state, ("redis",), print)
    finally:
        folder.rmdir()


def test_a_worker_that_never_reported_ready_is_restarted(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of an earlier release never report, so each `okr up` waited for them until its limit."""
    up(state, select("guard"), print)
    stack = open_stack(state)
    assert stack is not None
    before = service_pid(stack, "guard")
    up(state, select("guard"), print)
    assert service_pid(stack, "guard") == before
    (state / "run" / "guard" / "ready").unlink()
    monkeypatch.setattr("infra.local.start.READY_REPORT_LIMIT_S", -1)
    up(state, select("guard"), print)
    assert service_pid(stack, "guard") != before


def test_nothing_listens_beyond_loopback(state: Path) -> None:
    stack = up(state, BOTH, print)
    listening = [
        connection.laddr.ip
        for process in stack_processes(stack)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {ports.LOOPBACK}


def test_up_restarts_a_service_whose_code_changed_since_it_started(state: Path) -> None:
    stack = up(state, BOTH, print)
    before = {name: service_pid(stack, name) for name in BOTH}
    (Redis(stack).working_folder() / FINGERPRINT_FILE).write_text("an older version", encoding="ascii")
    said: list[str] = []
    up(state, BOTH, said.append)
    assert service_pid(stack, "redis") != before["redis"]
    assert service_pid(stack, "postgres") == before["postgres"]
    assert [line.split() for line in said if "restarting:" in line] == [
        ["redis", "restarting:", "its", "code", "has", "changed", "since", "it", "started"]
    ]
    Redis(stack).check()
    assert (Redis(stack).working_folder() / FINGERPRINT_FILE).read_text(encoding="ascii") == fingerprint(Redis(stack))
