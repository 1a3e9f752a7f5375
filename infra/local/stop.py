"""`okr down` and `okr clean`: no process stays behind, whatever became of the supervisor."""

import shutil
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

import psutil

from infra.local.postgres import Postgres, server_process
from infra.local.processes import is_alive, stack_processes
from infra.local.services import NAMES, SERVICES, service
from infra.local.short_paths import remove_private_folder
from infra.local.stack import CREATED_BY_US, STATE_NAMES, Stack, explain_os_error, open_stack
from infra.local.state_lock import locked
from infra.local.supervisor import Supervisor
from lakehouse.errors import PermanentError
from lakehouse.settings import STACK_ENV

POLL_SECONDS = 0.1
TERMINATE_SECONDS, KILL_SECONDS = 15, 10
STOPPED = {"STOPPED", "EXITED", "FATAL", "BACKOFF", "UNKNOWN"}
# Each wave can still use the later ones to finish what it does: a running task reports its end to the API server.
LAST_WAVES = (("airflow-api-server", "mlflow", "api"), ("postgres", "kafka", "redis"))
Say = Callable[[str], None]


def down(state: Path, say: Say) -> None:
    """Stop the stack of a state folder; nothing to do when there is none.

    Raises:
        PermanentError: a process cannot be ended.
    """
    state = state.absolute()
    stack = open_stack(state)
    if stack is None:
        say(f"No stack was started in {state}.")
        return
    with locked(state):
        stop_everything(stack, say)
    say(f"Stopped. The state stays in {state} (`okr clean` removes it).")


def clean(state: Path, say: Say) -> None:
    """Stop the stack and remove its state: the whole folder where we made it, else what we put into it.

    Raises:
        PermanentError: something cannot be removed.
    """
    state = state.absolute()
    stack = open_stack(state)
    if stack is None:
        say(f"{state} holds no stack: nothing is removed.")
        return
    with locked(state):
        stop_everything(stack, say)
        ours = stack.env.get(CREATED_BY_US) == "true"
        try:
            for path in state.iterdir() if ours else (state / name for name in STATE_NAMES):
                _remove(path)
        except OSError as error:
            raise PermanentError(explain_os_error(state, error)) from error
    remove_private_folder(state)
    if ours:
        state.rmdir()
    say(f"Removed {state}." if ours else f"Removed the stack's files from {state}; other files there stay.")
    for aside in sorted(state.parent.glob(f"{state.name}-*/{STACK_ENV}")):
        say(f"{aside.parent} stays: another organisation that a demo set aside. Remove it by hand if nobody needs it.")


def stop_everything(stack: Stack, say: Say) -> None:
    """Stop all services in order, then the supervisor, then whatever of the stack still runs."""
    supervisor = Supervisor(stack)
    if supervisor.is_running():
        later = {name for wave in LAST_WAVES for name in wave}
        # A supervisor that another version started may lack services of ours, and have others.
        for wave in ([name for name in supervisor.states() if name not in later], *LAST_WAVES):
            _stop_wave(stack, supervisor, wave, say)
        itself = supervisor.process()
        supervisor.shut_down()
        _wait_gone(lambda: is_alive(itself), TERMINATE_SECONDS)
    _end_leftovers(stack, say)
    supervisor.socket.unlink(missing_ok=True)


def stop_users(stack: Stack, supervisor: Supervisor, database: str, say: Say) -> list[str]:
    """Stop the services that use a database and wait until they are gone; return those that ran."""
    users = {kind.name for kind in SERVICES if database in kind.needs}
    running = [name for name, info in supervisor.states().items() if name in users and info["statename"] not in STOPPED]
    if running:
        say(f"The schema of {database} changes, and what uses it starts again afterwards.")
        _stop_wave(stack, supervisor, running, say)
    return running


def _stop_wave(stack: Stack, supervisor: Supervisor, names: Collection[str], say: Say) -> None:
    def busy() -> list[str]:
        states = supervisor.states()
        return [name for name in names if name in states and states[name]["statename"] not in STOPPED]

    running = [name for name, info in supervisor.states().items() if name in names and info["statename"] != "STOPPED"]
    if running:
        say(f"Stopping {', '.join(running)} ...")
    for name in running:
        supervisor.stop(name)
    limit = max((service(name, stack).stop_limit_seconds for name in names if name in NAMES), default=TERMINATE_SECONDS)
    _wait_gone(lambda: bool(busy()), limit + 5)  # the supervisor kills what is not gone at its limit


def _end_leftovers(stack: Stack, say: Say) -> None:
    server = server_process(Postgres(stack).data)
    if server is not None:
        server.send_signal(signal.SIGINT)  # it ends its own children; a signal to them would look like a crash
        _wait_gone(lambda: is_alive(server), TERMINATE_SECONDS)
    remaining = stack_processes(stack)
    if remaining:
        say(f"Ending {len(remaining)} processes that a killed supervisor or service left behind ...")
    _signal(remaining, signal.SIGTERM)
    _wait_gone(lambda: any(map(is_alive, remaining)), TERMINATE_SECONDS)
    remaining = stack_processes(stack)
    _signal(remaining, signal.SIGKILL)
    _wait_gone(lambda: any(map(is_alive, remaining)), KILL_SECONDS)
    stubborn = [str(process.pid) for process in remaining if is_alive(process)]
    if stubborn:
        raise PermanentError(
            f"These processes of the stack could not be ended: {', '.join(stubborn)}. They belong to another user, or "
            "wait for a broken disk. End them, then run `okr down` again."
        )


def _signal(processes: Collection[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)  # psutil looks whether the id was given to another process meanwhile
        except psutil.Error:
            continue  # gone, or not ours to end: who is alive is asked again afterwards


def _wait_gone(is_there: Callable[[], bool], limit_seconds: float) -> None:
    deadline = time.monotonic() + limit_seconds
    while is_there() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
