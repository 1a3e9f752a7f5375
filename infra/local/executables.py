"""Where the project and its programs are."""

import sys
from pathlib import Path

import infra
from lakehouse.errors import PermanentError

REINSTALL = "Remove .venv and run `make up`: it installs the environment."
ROOT = Path(infra.__file__).resolve().parents[1]


def program(name: str) -> str:
    """Return a console script of the environment that runs us, whatever the PATH says.

    Raises:
        PermanentError: it is not installed.
    """
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise PermanentError(f"The program {name} is not in {path.parent}. {REINSTALL}")
    return str(path)
