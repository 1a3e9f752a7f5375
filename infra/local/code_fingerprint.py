"""Record which version of its code a service runs, so that `okr up` restarts services whose code has changed.

At each start, the entry point of a service records the fingerprint of the service's code. `okr up` compares it with the
fingerprint of the current code.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from infra.local.base_service import Service
from infra.local.executables import ROOT

# Files that every service depends on: the exact versions of packages (missing outside a clone), and the code that
# builds the environment of a service.
SHARED_FILES = ("requirements/stack.txt", "infra/local/base_service.py", "infra/local/stack.py")
CODE_SUFFIXES = frozenset(
    {".py", ".sql", ".yml", ".json", ".html", ".css", ".js", ".svg", ".lock", ".properties", ".txt", ".j2"}
)
FINGERPRINT_FILE = "code"


def record_fingerprint(service: Service) -> None:
    """Record the fingerprint of the code that a service starts with."""
    (service.working_folder() / FINGERPRINT_FILE).write_text(fingerprint(service), encoding="ascii")


def has_outdated_code(service: Service) -> bool:
    """Return whether a running service was started with different code. Also true if no fingerprint is recorded."""
    try:
        recorded = (service.working_folder() / FINGERPRINT_FILE).read_text(encoding="ascii")
    except FileNotFoundError:
        return True
    return recorded != fingerprint(service)


def fingerprint(service: Service, root: Path = ROOT) -> str:
    """Return a digest of the names and contents of a service's code files below the project's root."""
    digest = hashlib.sha256()
    for file in sorted(_files(root / path for path in (*SHARED_FILES, *service.code))):
        digest.update(f"{file.relative_to(root)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _files(paths: Iterable[Path]) -> set[Path]:
    found = {file for path in paths for file in (path.rglob("*") if path.is_dir() else (path,))}
    return {file for file in found if file.suffix in CODE_SUFFIXES and file.is_file()}
