"""Runs one of our commands in a process of its own that is killed at a named step of its protocol."""

import os
import signal
import subprocess
import sys

from lakehouse.settings import Settings

PASSED_ON = ("kafka_bootstrap", "lake_uri", "redis_url", "dsn_loader")


def run_until_killed(settings: Settings, arm: str, command: str, tmp_path: object) -> None:
    """Run `command` (Python, with `settings` and `stop`) after `arm`, which plants `die` at a step: it must die."""
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
    environment = {f"OKR_{name.upper()}": settings.require(name) for name in PASSED_ON}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment | {"OKR_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert answer.returncode == -signal.SIGKILL, f"it was not killed: {answer.stdout}{answer.stderr}"
