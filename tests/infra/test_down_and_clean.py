"""`okr down` and `okr clean`: no process and no port stays behind."""

import signal
import subprocess
from pathlib import Path

import pytest

from infra.local import ports
from infra.local.env_file import read_env_file, write_env_file
from infra.local.processes import stack_processes
from infra.local.redis import Redis
from infra.local.stack import CREATED_BY_STACK, open_stack
from infra.local.start import up
from infra.local.state_lock import locked
from infra.local.status import services
from infra.local.stop import clean, down
from infra.local.supervisor import Supervisor
from lakehouse.errors import PermanentError
from tests.infra.lifecycle import BOTH, is_healthy, start_as_another_version
from tests.polling import until


def test_up_and_down_in_a_deep_folder_leave_no_process_and_no_port(state: Path) -> None:
    stack = up(state, BOTH, print)
    assert is_healthy(stack)
    assert {each.name for each in services(stack) if each.state == "RUNNING"} == {"postgres", "redis"}
    down(state, print)
    assert stack_processes(stack) == []
    assert all(ports.is_free(stack.port(name)) for name in ("postgres", "redis"))


def test_down_ends_the_services_of_a_killed_supervisor(state: Path) -> None:
    stack = up(state, BOTH, print)
    Supervisor(stack).process().kill()
    until(lambda: not Supervisor(stack).is_running(), "the supervisor has ended")
    assert stack_processes(stack)
    down(state, print)
    assert stack_processes(stack) == []
    assert all(ports.is_free(stack.port(name)) for name in ("postgres", "redis"))


def test_status_and_down_work_on_a_stack_started_by_a_version_with_other_services(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = start_as_another_version(state, monkeypatch)
    found = {each.name: each.state for each in services(stack)}
    assert (found["redis"], found["guard"], found["retired"]) == ("RUNNING", "DOWN", "STOPPED")
    down(state, print)
    assert stack_processes(stack) == []


def test_only_one_command_at_a_time_may_change_a_stack(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(PermanentError, match="Another `okr up`"), locked(tmp_path):
        pass


def test_clean_removes_a_folder_that_the_stack_created(state: Path) -> None:
    up(state, ("redis",), print)
    clean(state, print)
    assert not state.exists()


def test_clean_keeps_files_that_are_not_the_stacks(tmp_path: Path) -> None:
    (tmp_path / "my.csv").touch()
    up(tmp_path, ("redis",), print)
    clean(tmp_path, print)
    assert [path.name for path in tmp_path.iterdir()] == ["my.csv"]


def test_two_stacks_run_side_by_side_and_stop_independently(tmp_path: Path) -> None:
    first, second = up(tmp_path / "a", ("redis",), print), up(tmp_path / "b", ("redis",), print)
    try:
        down(tmp_path / "a", print)
        assert stack_processes(first) == []
        Redis(second).check()
    finally:
        down(tmp_path / "b", print)


def test_down_without_a_stack_does_nothing(tmp_path: Path) -> None:
    down(tmp_path / "nothing", print)
    assert open_stack(tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()


def _remove_from_stack_env(state: Path, *names: str) -> None:
    known = read_env_file(state / "stack.env")
    write_env_file(state / "stack.env", {name: value for name, value in known.items() if name not in names})


def test_clean_stops_and_removes_a_stack_whose_stack_env_lost_lines(state: Path) -> None:
    stack = up(state, BOTH, print)
    _remove_from_stack_env(state, "OKR_STACK_ID", "OKR_PORT_REDIS", CREATED_BY_STACK)
    with pytest.raises(PermanentError, match=r"it lacks OKR_STACK_ID, OKR_PORT_REDIS\. Restore it, or .* `okr clean`"):
        open_stack(state)
    clean(state, print)
    assert stack_processes(stack) == []
    assert all(ports.is_free(stack.port(name)) for name in ("postgres", "redis"))
    assert not state.exists()


def test_clean_without_stack_env_ends_the_services_of_a_killed_supervisor(state: Path) -> None:
    stack = up(state, BOTH, print)
    # A process of the stack that works in another folder, as Airflow's tasks may: its environment proves whose it is.
    environment = {"OKR_STACK_ID": stack.env["OKR_STACK_ID"], "OKR_STATE": str(state)}
    task = subprocess.Popen(["sleep", "600"], cwd="/", env=environment, start_new_session=True)
    stranger = subprocess.Popen(["sleep", "600"], cwd="/", env={"OKR_STATE": str(state)}, start_new_session=True)
    try:
        Supervisor(stack).process().kill()
        (state / "stack.env").unlink()
        clean(state, print)
        assert task.wait(5) == -signal.SIGTERM
        assert stranger.poll() is None, "a shell may export OKR_STATE"
    finally:
        for process in (task, stranger):
            process.kill()
            process.wait()
    assert stack_processes(stack) == []
    assert not state.exists()


def test_down_with_a_damaged_stack_env_stops_the_stack_and_says_what_is_missing(state: Path) -> None:
    stack = up(state, ("redis",), print)
    _remove_from_stack_env(state, "OKR_REDIS_PASSWORD")
    said: list[str] = []
    down(state, said.append)
    assert stack_processes(stack) == []
    assert said[-1].endswith("is damaged: it lacks OKR_REDIS_PASSWORD. Restore it before the next `okr up`.")
