"""Which processes belong to a stack, whoever started them: by a mark that outlives their supervisor.

A pid file tells nothing after a reboot, and a program that sets its title overwrites its environment. So a process is
ours when its environment holds the stack's id, when its working folder lies in the stack's own (no terminal there: a
person may look around in it), or when it descends from such a process.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil

from infra.local.base_service import STACK_ID, Service
from infra.local.stack import Stack

ORPHAN_SECONDS = 3  # how long each is given to end by itself, then to be gone


def stack_processes(stack: Stack) -> list[psutil.Process]:
    """Return the running processes of a stack, this one and its ancestors left out."""
    ourselves = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    marked = {process.pid: process for process in psutil.process_iter() if _is_marked(process, stack)}
    for process in list(marked.values()):
        for child in _children(process):
            marked[child.pid] = child
    return [process for pid, process in marked.items() if pid not in ourselves and is_alive(process)]


def end_orphans(service: Service) -> None:
    """End what a killed service left behind: children that hold its port, or go on with tasks given to others since.

    To be called before the service starts, from a process that is not in the service's folder.
    """
    folder = service.working_folder()
    left = [process for process in psutil.process_iter() if _folder(process) == folder]
    left += [child for process in left for child in _children(process)]
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in left:
            with contextlib.suppress(psutil.Error):
                end(process)
        _, left = psutil.wait_procs(left, timeout=ORPHAN_SECONDS)


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that ended and was not waited for yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def proportional_bytes(processes: Iterable[psutil.Process]) -> int:
    """Return the processes' memory with shared pages counted once (PSS); another user's are not counted."""
    total = 0
    for process in processes:
        try:
            total += int(process.memory_full_info().pss)
        except psutil.Error:
            continue  # gone meanwhile, or another user's
    return total


def _is_marked(process: psutil.Process, stack: Stack) -> bool:
    try:
        if process.environ().get(STACK_ID) == stack.env[STACK_ID]:
            return True
    except psutil.Error:
        pass  # another user's, or gone: the working folder may still tell
    folder = _folder(process)
    own = (stack.state / "run", stack.state / "postgres")
    return folder is not None and any(folder.is_relative_to(place) for place in own)


def _folder(process: psutil.Process) -> Path | None:
    """Return where a process without a terminal works."""
    try:
        return Path(process.cwd()) if process.terminal() is None else None
    except psutil.Error:
        return None


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
