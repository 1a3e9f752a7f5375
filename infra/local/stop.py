"""`okr down` and `okr clean`: end all processes of a stack, even if its supervisor has died or stack.env is damaged."""

import shutil
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

import psutil

from infra.local.postgres import Postgres, server_process
from infra.local.processes import is_alive, stack_processes
from infra.local.services import SERVICES, service, services_of
from infra.local.short_paths import remove_private_folder
from infra.local.stack import (
    CREATED_BY_STACK,
    STATE_NAMES,
    Stack,
    explain_os_error,
    missing_values,
    open_stack_to_stop,
)
from infra.local.state_lock import locked
from infra.local.supervisor import Supervisor
from lakehouse.errors import PermanentError
from lakehouse.settings import STACK_ENV

POLL_SECONDS = 0.1
TERMINATE_SECONDS, KILL_SECONDS = 15, 10
STOPPED = {"STOPPED", "EXITED", "FATAL", "BACKOFF", "UNKNOWN"}
# Services stop in waves, because some need others while they finish their work. For example, Airflow's tasks report to
# the API server.
LAST_WAVES = (("airflow-api-server", "mlflow", "api"), ("postgres", "kafka", "redis"))
Say = Callable[[str], None]


def down(state: Path, say: Say) -> None:
    """Stop the stack of a state folder, if there is one.

    Raises:
        PermanentError: a process cannot be ended.
    """
    state = state.absolute()
    stack = open_stack_to_stop(state)
    if stack is None:
        say(f"No stack has been started in {state}.")
        return
    with locked(state):
        stop_everything(stack, say)
    say(f"Stopped. The state is kept in {state}; `okr clean` deletes it.")
    if missing := missing_values(stack.env):
        say(f"{state / STACK_ENV} is damaged: it lacks {', '.join(missing)}. Restore it before the next `okr up`.")


def clean(state: Path, say: Say) -> None:
    """Stop the stack and remove its state: the whole folder if the stack created it, otherwise only the stack's files.

    If stack.env is damaged, it may be unknown who created the folder. It is then removed only if it has no other files.

    Raises:
        PermanentError: a file or folder cannot be removed.
    """
    state = state.absolute()
    stack = open_stack_to_stop(state)
    if stack is None:
        say(f"{state} contains no stack; nothing was removed.")
        return
    with locked(state):
        stop_everything(stack, say)
        created = stack.env.get(CREATED_BY_STACK)
        try:
            for path in state.iterdir() if created == "true" else (state / name for name in STATE_NAMES):
                _remove(path)
        except OSError as error:
            raise PermanentError(explain_os_error(state, error)) from error
    remove_private_folder(state)
    if created == "true" or (created is None and not any(state.iterdir())):
        state.rmdir()
        say(f"Removed {state}.")
    else:
        say(f"Removed the stack's files from {state}; other files in it are kept.")
    for other in sorted(state.parent.glob(f"{state.name}-*/{STACK_ENV}")):
        say(f"{other.parent} is kept: `okr demo` moved another organisation's state there.")


def stop_everything(stack: Stack, say: Say) -> None:
    """Stop all services in order, then the supervisor, then any remaining processes of the stack."""
    supervisor = Supervisor(stack)
    if supervisor.is_running():
        last = {name for wave in LAST_WAVES for name in wave}
        # If another version of the code started the supervisor, it may have other services.
        for wave in ([name for name in supervisor.states() if name not in last], *LAST_WAVES):
            _stop_wave(stack, supervisor, wave, say)
        process = supervisor.process()
        supervisor.shut_down()
        _wait_while(lambda: is_alive(process), TERMINATE_SECONDS)
    _end_leftovers(stack, say)
    supervisor.socket.unlink(missing_ok=True)


def stop_services_using(stack: Stack, supervisor: Supervisor, database: str, say: Say) -> list[str]:
    """Stop the services that use a database, wait until they have ended, and return their names."""
    names = {kind.name for kind in SERVICES if database in kind.needs}
    running = [name for name, info in supervisor.states().items() if name in names and info["statename"] not in STOPPED]
    if running:
        say(f"Migrating the schema of {database}: stopping the services that use it; they are restarted afterwards.")
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
    known = {kind.name for kind in services_of(stack)}
    limit = max((service(name, stack).stop_limit_seconds for name in names if name in known), default=TERMINATE_SECONDS)
    _wait_while(lambda: bool(busy()), limit + 5)  # the supervisor kills services that exceed their limit


def _end_leftovers(stack: Stack, say: Say) -> None:
    server = server_process(Postgres(stack).data)
    if server is not None:
        server.send_signal(signal.SIGINT)  # it stops its children itself, and treats signals sent to them as a crash
        _wait_while(lambda: is_alive(server), TERMINATE_SECONDS)
    remaining = stack_processes(stack)
    if remaining:
        say(f"Ending {len(remaining)} remaining processes of the stack ...")
    _signal(remaining, signal.SIGTERM)
    _wait_while(lambda: any(map(is_alive, remaining)), TERMINATE_SECONDS)
    remaining = stack_processes(stack)
    _signal(remaining, signal.SIGKILL)
    _wait_while(lambda: any(map(is_alive, remaining)), KILL_SECONDS)
    survivors = [str(process.pid) for process in remaining if is_alive(process)]
    if survivors:
        raise PermanentError(
            f"These processes of the stack could not be ended: {', '.join(survivors)}. They belong to another user, or "
            "are waiting for a failing disk. End them, then run `okr down` again."
        )


def _signal(processes: Collection[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)  # psutil checks that the process id has not been reused
        except psutil.Error:
            continue  # it has ended or belongs to another user; the caller checks which are alive


def _wait_while(condition: Callable[[], bool], limit_seconds: float) -> None:
    deadline = time.monotonic() + limit_seconds
    while condition() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
