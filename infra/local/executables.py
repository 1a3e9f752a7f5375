"""The paths of the project's root folder and of the programs in its environment."""

import sys
from pathlib import Path

import infra
from lakehouse.errors import PermanentError

REINSTALL = "Remove .venv and run `make up`: it installs the environment."
ROOT = Path(infra.__file__).resolve().parents[1]


def program(name: str) -> str:
    """Return the path of a console script in the current Python environment, regardless of PATH.

    Raises:
        PermanentError: it is not installed.
    """
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise PermanentError(f"The program {name} is not in {path.parent}. {REINSTALL}")
    return str(path)
