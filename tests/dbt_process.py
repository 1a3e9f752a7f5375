"""dbt on a test's database, in a process forked from one that has already imported dbt and parsed the project.

Together they take 5 s of CPU, more than most of the builds that the tests run.
"""

import gc
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import CompletedProcess

from lakehouse.settings import Settings
from lakehouse.warehouse import dbt_environment

PROJECT = Path(__file__).parents[1] / "dbt_project"
LIMIT_SECONDS = 240

_context: ForkServerContext = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.dbt_manifest", "dbt.adapters.postgres"])


def attempt_dbt(settings: Settings, target: Path, *arguments: str) -> CompletedProcess[str]:
    """Run dbt and return its exit status and everything that it printed."""
    paths = [f"--{kind}-dir={PROJECT}" for kind in ("project", "profiles")]
    command = [*arguments, *paths, f"--target-path={target}", f"--log-path={target / 'logs'}"]
    with tempfile.NamedTemporaryFile() as output:
        environment = os.environ | dbt_environment(settings)
        process = _context.Process(target=_invoke, args=(command, environment, output.name), daemon=True)
        process.start()
        process.join(LIMIT_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
        printed = Path(output.name).read_text(encoding="utf-8", errors="replace")
        return CompletedProcess(["dbt", *command], process.exitcode or 0, printed, "")


def run_dbt(settings: Settings, target: Path, *arguments: str) -> str:
    """Run dbt and return what it printed; fail the test when dbt fails."""
    done = attempt_dbt(settings, target, *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


def _invoke(command: Sequence[str], environment: Mapping[str, str], output: str) -> None:
    """Run dbt's command line in the forked process, as its own program would.

    Only `dbt parse` parses the project and writes dbt's artifacts. There is no log file, because the output is kept.
    """
    from dbt.cli.main import cli

    from tests.dbt_manifest import manifest_for

    opened = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(opened, 1)
    os.dup2(opened, 2)
    os.environ.clear()
    os.environ.update(environment)
    gc.set_threshold(200_000, 50, 50)  # as in dags/steps/dbt_tasks.py: the process lives for seconds
    manifest = None if "parse" in command else manifest_for(environment)
    flags = ["--log-level-file=none", *(["--no-write-json"] if manifest else [])]
    sys.argv = ["dbt", *flags, *command]
    cli(obj={"manifest": manifest})
