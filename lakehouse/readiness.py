"""How a service without an address says that it has started: its process id, in the file that its supervisor named.

The time that a process has run says nothing on a busy machine: its imports alone may take longer than any guess.
"""

import os
from pathlib import Path

READY_FILE = "OKR_READY_FILE"  # environment variable: the file to write; unset where nobody waits for it


def report_ready() -> None:
    """Write this process's id into the file that OKR_READY_FILE names, whole or not at all; do nothing without one."""
    if not (name := os.environ.get(READY_FILE)):
        return
    file = Path(name)
    part = file.with_name(f"{file.name}.part")
    part.write_text(str(os.getpid()), encoding="ascii")
    part.replace(file)


def is_ready(file: Path, pid: int) -> bool:
    """Tell whether the process with this id has reported; what an earlier one left does not count."""
    try:
        return file.read_text(encoding="ascii") == str(pid)
    except FileNotFoundError:
        return False
