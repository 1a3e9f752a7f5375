"""Readiness of services without a network address. Each writes its process id to a file chosen by its supervisor.

The age of a process does not show whether it is ready, because on a busy machine imports may take any amount of time.
"""

import os
from pathlib import Path

READY_FILE = "OKR_READY_FILE"  # environment variable: the file to write; unset if no supervisor waits


def report_ready() -> None:
    """Write the id of this process to the file named by OKR_READY_FILE, atomically; do nothing if it is unset."""
    if not (name := os.environ.get(READY_FILE)):
        return
    file = Path(name)
    part = file.with_name(f"{file.name}.part")
    part.write_text(str(os.getpid()), encoding="ascii")
    part.replace(file)


def is_ready(file: Path, pid: int) -> bool:
    """Return whether the process with this id has reported; the file of an earlier process does not count."""
    try:
        return file.read_text(encoding="ascii") == str(pid)
    except FileNotFoundError:
        return False
