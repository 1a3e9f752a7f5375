"""The stack under its supervisor, with its two quickest services: what `okr up` and `okr down` do under bad luck."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from infra.local import ports, supervisor
from infra.local.database_migrations import Warehouse
from infra.local.postgres import Postgres, remove_stale_lock
from infra.local.processes import stack_processes
from infra.local.redis import Redis
from infra.local.services import NAMES, select
from infra.local.short_paths import private_folder
from infra.local.stack import Stack, open_stack, prepare_stack
from infra.local.start import _Startup, up
from infra.local.state_lock import locked
from infra.local.status import services
from infra.local.stop import clean, down
from infra.local.supervisor import Supervisor
from lakehouse.errors import NEEDS_INTERVENTION, PermanentError, RetryableError

BOTH = select("postgres,redis")
DEEP = "a folder with spaces/" + "deep" * 40  # far beyond the 107 bytes of a UNIX socket's path


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A deep state folder with spaces, whose stack is stopped and removed at the end."""
    state = tmp_path / DEEP
    yield state
    clean(state, print)


def _wait_until(holds: Callable[[], bool], limit_seconds: float = 30) -> None:
    deadline = time.monotonic() + limit_seconds
    while not holds():
        assert time.monotonic() < deadline, f"not so after {limit_seconds} s"
        time.sleep(0.1)


def _is_healthy(stack: Stack) -> bool:
    try:
        Postgres(stack).check()
        Redis(stack).check()
    except RetryableError:
        return False
    return True


def _pid(stack: Stack, name: str) -> int:
    return int(Supervisor(stack).states()[name]["pid"])


def test_up_and_down_in_a_deep_folder_leave_no_process_and_no_port(state: Path) -> None:
    stack = up(state, BOTH, print)
    assert _is_healthy(stack)
    assert {each.name for each in services(stack) if each.state == "RUNNING"} == {"postgres", "redis"}
    down(state, print)
    assert stack_processes(stack) == []
    assert all(ports.is_free(stack.port(name)) for name in ("postgres", "redis"))


def test_a_second_up_leaves_what_runs_alone(state: Path) -> None:
    first = up(state, BOTH, print)
    before = _pid(first, "postgres")
    second = up(state, BOTH, print)
    assert _pid(second, "postgres") == before
    assert first.env == second.env


def test_data_outlives_down_and_up(state: Path) -> None:
    stack = up(state, BOTH, print)
    with psycopg.connect(stack.env["OKR_PG_SUPERUSER_DSN"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    down(state, print)
    stack = up(state, BOTH, print)
    with psycopg.connect(stack.env["OKR_PG_SUPERUSER_DSN"]) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)


@pytest.mark.parametrize("name", BOTH)
def test_a_killed_service_comes_back(state: Path, name: str) -> None:
    stack = up(state, BOTH, print)
    killed = _pid(stack, name)
    os.kill(killed, signal.SIGKILL)
    _wait_until(lambda: _pid(stack, name) not in (0, killed) and _is_healthy(stack))


def test_what_a_killed_service_left_running_is_ended_before_its_next_start(state: Path) -> None:
    stack = up(state, ("redis",), print)
    child = subprocess.Popen(["sleep", "600"], cwd=Redis(stack).working_folder(), start_new_session=True)
    os.kill(_pid(stack, "redis"), signal.SIGKILL)
    assert child.wait(30) == -signal.SIGTERM


def test_down_ends_the_services_of_a_killed_supervisor(state: Path) -> None:
    stack = up(state, BOTH, print)
    Supervisor(stack).process().kill()
    _wait_until(lambda: not Supervisor(stack).is_running())
    assert stack_processes(stack)
    down(state, print)
    assert stack_processes(stack) == []
    assert all(ports.is_free(stack.port(name)) for name in ("postgres", "redis"))


def test_up_after_a_killed_supervisor_takes_over_on_the_same_ports(state: Path) -> None:
    stack = up(state, BOTH, print)
    Supervisor(stack).process().kill()
    again = up(state, BOTH, print)
    assert _is_healthy(again)
    assert again.port("postgres") == stack.port("postgres")
    assert len([each for each in stack_processes(again) if each.name() == "redis-server"]) == 1


def test_up_on_a_taken_port_moves_and_tells(state: Path) -> None:
    stack = up(state, ("redis",), print)
    said: list[str] = []
    with socket.socket() as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        foreign.bind((ports.LOOPBACK, stack.port("postgres")))
        foreign.listen()
        moved = up(state, ("postgres",), said.append)
    assert _is_healthy(moved)  # Redis too, which ran before and had to move along
    assert "Another program took the port of postgres: the stack restarts on other ports." in said


def _started_by_another_version(state: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Start Redis under a supervisor that lacks one service of ours, and has one that we do not."""

    class Retired(Redis):
        name = "retired"

    with monkeypatch.context() as older:
        older.setattr(supervisor, "SERVICES", (Redis, Retired))
        stack = prepare_stack(state)
        Supervisor(stack).launch()
    Supervisor(stack).start("redis")
    _wait_until(lambda: Supervisor(stack).states()["redis"]["statename"] == "RUNNING")
    return stack


def test_up_restarts_a_stack_that_a_version_with_other_services_started(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = _started_by_another_version(state, monkeypatch)
    said: list[str] = []
    up(state, select("redis"), said.append)
    assert any("another version" in line for line in said)
    assert Supervisor(stack).states().keys() == set(NAMES)
    Redis(stack).check()


def test_status_and_down_work_on_a_stack_that_a_version_with_other_services_started(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = _started_by_another_version(state, monkeypatch)
    found = {each.name: each.state for each in services(stack)}
    assert (found["redis"], found["guard"], found["retired"]) == ("RUNNING", "DOWN", "STOPPED")
    down(state, print)
    assert stack_processes(stack) == []


def test_what_uses_the_warehouse_is_stopped_while_its_schema_changes_and_only_then(state: Path) -> None:
    """An old state consumer met columns that it does not fill: its events were set aside, and never read again."""
    stack = up(state, BOTH, print)
    supervisor, said = Supervisor(stack), list[str]()
    startup = _Startup(stack, supervisor, BOTH, said.append)

    def is_running() -> bool:
        return supervisor.states()["api"]["statename"] in {"STARTING", "RUNNING"}

    supervisor.start("api")
    first = _pid(stack, "api")
    startup._migrate(Warehouse(stack))
    assert said == ["The schema of warehouse changes, and what uses it starts again afterwards.", "Stopping api ..."]
    assert not psutil.pid_exists(first)
    assert is_running(), "nobody else would start it again"
    said.clear()
    startup._migrate(Warehouse(stack))
    assert said == []


def test_the_lock_file_of_a_server_before_a_reboot_does_not_stop_the_next(state: Path) -> None:
    stack = up(state, ("postgres",), print)
    down(state, print)
    lock = Postgres(stack).data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{Postgres(stack).data}\n", encoding="ascii")  # the id belongs to us now
    assert Postgres(up(state, ("postgres",), print)).check() is None


def test_the_lock_file_of_a_running_server_stays(state: Path) -> None:
    data = Postgres(up(state, ("postgres",), print)).data
    remove_stale_lock(data)
    assert (data / "postmaster.pid").exists()


def test_an_interrupted_initdb_is_begun_anew(state: Path) -> None:
    stack = up(state, ("redis",), print)
    postgres = Postgres(stack)
    postgres.data.mkdir(parents=True)
    (postgres.data / "PG_VERSION").write_text("18\n", encoding="ascii")
    (postgres.data.parent / "initialising").touch()
    assert _is_healthy(up(state, BOTH, print))


def test_a_service_that_cannot_start_is_named_with_its_last_words_and_its_log(state: Path) -> None:
    stack = up(state, ("redis",), print)
    postgres = Postgres(stack)
    postgres.data.mkdir(parents=True)
    (postgres.data / "PG_VERSION").write_text("18\n", encoding="ascii")
    with pytest.raises(PermanentError, match=r"postgres ends again and again .* -- see .*postgres\.log"):
        up(state, ("postgres",), print)


def test_passwords_that_no_longer_fit_are_told(state: Path) -> None:
    up(state, ("postgres",), print)
    down(state, print)
    (state / "stack.env").unlink()
    with pytest.raises(PermanentError, match="was made with other passwords than those in"):
        up(state, ("postgres",), print)


def test_only_one_command_works_on_a_stack_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(PermanentError, match="Another `okr up`"), locked(tmp_path):
        pass


def test_clean_removes_the_folder_it_made(state: Path) -> None:
    up(state, ("redis",), print)
    clean(state, print)
    assert not state.exists()


def test_clean_leaves_the_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "my.csv").touch()
    up(tmp_path, ("redis",), print)
    clean(tmp_path, print)
    assert [path.name for path in tmp_path.iterdir()] == ["my.csv"]


def test_two_stacks_run_side_by_side_and_end_apart(tmp_path: Path) -> None:
    first, second = up(tmp_path / "a", ("redis",), print), up(tmp_path / "b", ("redis",), print)
    try:
        down(tmp_path / "a", print)
        assert stack_processes(first) == []
        Redis(second).check()
    finally:
        down(tmp_path / "b", print)


def test_nothing_listens_beyond_loopback(state: Path) -> None:
    stack = up(state, BOTH, print)
    listening = [
        connection.laddr.ip
        for process in stack_processes(stack)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {ports.LOOPBACK}


def test_a_short_folder_of_somebody_else_is_refused(state: Path) -> None:
    folder = private_folder(state)
    folder.chmod(0o777)
    try:
        with pytest.raises(PermanentError, match="should be a private folder of ours and is not"):
            up(state, ("redis",), print)
    finally:
        folder.rmdir()


def test_down_without_a_stack_does_nothing(tmp_path: Path) -> None:
    down(tmp_path / "nothing", print)
    assert open_stack(tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()


def test_a_worker_that_runs_and_never_reported_is_restarted(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of an earlier release report nothing: `okr up` waited for them in vain, each time."""
    up(state, select("guard"), print)
    stack = open_stack(state)
    assert stack is not None
    before = _pid(stack, "guard")
    up(state, select("guard"), print)
    assert _pid(stack, "guard") == before
    (state / "run" / "guard" / "ready").unlink()
    monkeypatch.setattr("infra.local.start.REPORTS_WITHIN_S", -1)
    up(state, select("guard"), print)
    assert _pid(stack, "guard") != before


def test_a_worker_that_nothing_but_somebody_can_help_is_left_stopped(state: Path) -> None:
    """Landing refuses a lake of another log: to start it again and again would only fill its log."""
    lake = state / "lake" / "okr_user_events"
    schema = pa.schema([pa.field("kafka_partition", pa.int32())])
    DeltaTable.create(str(lake), schema, description="another cluster/another topic")
    with pytest.raises(PermanentError, match=r"land needs somebody's help.*another cluster"):
        up(state, select("land"), print)
    stack = open_stack(state)
    assert stack is not None
    assert Supervisor(stack).states()["land"]["exitstatus"] == NEEDS_INTERVENTION
    assert Supervisor(stack).states()["land"]["statename"] == "EXITED"
