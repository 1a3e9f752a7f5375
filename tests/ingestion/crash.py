"""Run one of our commands in a process that is killed at a named step of its protocol."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr

from lakehouse.settings import Settings

OKR = [sys.executable, "-c", "from lakehouse.cli import main; main()"]


def environment_of(settings: Settings, state: Path | None = None) -> dict[str, str]:
    """Return an environment from which a command reads exactly these settings.

    `state` is the folder of stack.env; the default is the lake's folder, which has none.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OKR_")}
    for name, value in settings:
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if text:
            environment[f"OKR_{name.upper()}"] = text
    return environment | {"OKR_STATE": str(state or settings.lake_uri or os.devnull)}


def run_until_killed(settings: Settings, arm: str, command: str, tmp_path: Path) -> None:
    """Run `command` (Python, with `settings` and `stop`) after `arm`, which injects `die` at a step"""
    code = f"""
import os, signal, threading
from pathlib import Path
from lakehouse.settings import load_settings

def die(*_args, **_kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

settings, stop = load_settings(), threading.Event()
{arm}
{command}
"""
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=environment_of(settings, tmp_path),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert answer.returncode == -signal.SIGKILL, f"it was not killed: {answer.stdout}{answer.stderr}"
