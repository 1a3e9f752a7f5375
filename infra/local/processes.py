"""Find the processes that belong to a stack, even after their supervisor has died.

Pid files are not reliable after a reboot, and a program that sets its title overwrites its environment. Therefore a
process belongs to a stack if its environment contains the stack's id, if its working folder is in `run` or `postgres`
of the stack's state folder, or if it is a descendant of such a process. The working folder of a process with a terminal
is ignored, because the process may be a user's shell.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil

from infra.local.base_service import STACK_ID, Service
from infra.local.stack import Stack

ORPHAN_SECONDS = 3  # wait this long after SIGTERM, and again after SIGKILL


def stack_processes(stack: Stack) -> list[psutil.Process]:
    """Return the running processes of a stack, except this process and its ancestors."""
    own_pids = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    found_by_pid = {process.pid: process for process in psutil.process_iter() if _belongs_to(process, stack)}
    for process in list(found_by_pid.values()):
        for child in _children(process):
            found_by_pid[child.pid] = child
    return [process for pid, process in found_by_pid.items() if pid not in own_pids and is_alive(process)]


def end_orphans(service: Service) -> None:
    """End the children of a killed service, which may still use its port or run tasks that others have taken over.

    Call this before the service starts, and from a process with another working folder than the service.
    """
    folder = service.working_folder()
    orphans = [process for process in psutil.process_iter() if _working_folder(process) == folder]
    orphans += [child for process in orphans for child in _children(process)]
    for send_signal in (psutil.Process.terminate, psutil.Process.kill):
        for process in orphans:
            with contextlib.suppress(psutil.Error):
                send_signal(process)
        _, orphans = psutil.wait_procs(orphans, timeout=ORPHAN_SECONDS)


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process is running; a zombie does not count."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def proportional_bytes(processes: Iterable[psutil.Process]) -> int:
    """Return the memory of processes as PSS, which counts shared pages once. Other users' processes are excluded."""
    total = 0
    for process in processes:
        try:
            total += int(process.memory_full_info().pss)
        except psutil.Error:
            continue  # it has ended or belongs to another user
    return total


def _belongs_to(process: psutil.Process, stack: Stack) -> bool:
    with contextlib.suppress(psutil.Error):  # it has ended or belongs to another user; its folder may be readable
        environment = process.environ()
        if STACK_ID in stack.env:
            if environment.get(STACK_ID) == stack.env[STACK_ID]:
                return True
        elif STACK_ID in environment and environment.get("OKR_STATE") == str(stack.state):
            return True  # the id is missing from stack.env; only a stack's processes have both variables
    folder = _working_folder(process)
    stack_folders = (stack.state / "run", stack.state / "postgres")
    return folder is not None and any(folder.is_relative_to(parent) for parent in stack_folders)


def _working_folder(process: psutil.Process) -> Path | None:
    """Return the working folder of a process, or None if the process has a terminal or the folder cannot be read."""
    try:
        return Path(process.cwd()) if process.terminal() is None else None
    except psutil.Error:
        return None


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
