"""Readiness of services: each reports to its supervisor when it is ready, by a file or to systemd.

The age of a process does not show whether it is ready, because on a busy machine imports may take any amount of time.
"""

import contextlib
import os
import socket
from pathlib import Path

READY_FILE = "OKR_READY_FILE"  # environment variable: the file to write; unset if no supervisor waits for it
NOTIFY_SOCKET = "NOTIFY_SOCKET"  # environment variable: the socket of systemd, for units with Type=notify


def report_ready() -> None:
    """Report that this process is ready, to systemd and in the file named by OKR_READY_FILE, if they are set.

    The file is written atomically and contains the id of this process.
    """
    notify_systemd("READY=1")
    if not (name := os.environ.get(READY_FILE)):
        return
    file = Path(name)
    part = file.with_name(f"{file.name}.part")
    part.write_text(str(os.getpid()), encoding="ascii")
    part.replace(file)


def report_alive() -> None:
    """Report that this process still makes progress: to systemd, and by the age of the file named by OKR_READY_FILE.

    A unit with WatchdogSec, and a pod whose liveness probe checks the age of the file, are restarted if this stops.
    """
    notify_systemd("WATCHDOG=1")
    if name := os.environ.get(READY_FILE):
        with contextlib.suppress(FileNotFoundError):  # it is not ready yet
            os.utime(name)


def notify_systemd(state: str) -> None:
    """Send a state to systemd (sd_notify(3)); do nothing if this process is not a unit with Type=notify."""
    if not (address := os.environ.get(NOTIFY_SOCKET)):
        return
    if address.startswith("@"):  # an abstract socket
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as systemd:
        systemd.sendto(state.encode(), address)


def is_ready(file: Path, pid: int) -> bool:
    """Return whether the process with this id has reported; the file of an earlier process does not count."""
    try:
        return file.read_text(encoding="ascii") == str(pid)
    except FileNotFoundError:
        return False
