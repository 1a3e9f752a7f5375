"""Run an `okr` command as a user would, and write its output to the demo's log."""

import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from infra.demo.errors import StepFailed
from lakehouse.background import BackgroundThread
from lakehouse.configuration.foreign_exports import foreign_exports
from lakehouse.environment import for_own_commands
from lakehouse.settings import state_folder


def okr(*arguments: str, log: Path, limit_s: float, fix: str, say: Callable[[str], None] | None = None) -> str:
    """Run `okr <arguments>` and return its standard output; standard error goes to `log` and, line by line, to `say`.

    Raises:
        StepFailed: the command exits with a non-zero status or takes longer than `limit_s` seconds.
    """
    program = Path(sys.executable).parent / "okr"
    state = state_folder()
    environment = for_own_commands(state) | {"OKR_STATE": str(state), "NO_COLOR": "1"}
    for name in foreign_exports(state):  # variables that the shell exported for another stack
        del environment[name]
    with subprocess.Popen(
        [program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        encoding="utf-8", errors="replace", env=environment,
    ) as process:  # fmt: skip
        last_lines: list[str] = []
        output_ended = threading.Event()
        reader = BackgroundThread(
            "demo-log", partial(_follow_output, process, log, last_lines, say, output_ended), output_ended
        )
        reader.start()
        timer = threading.Timer(limit_s, process.kill)
        timer.start()
        try:
            output = process.stdout.read() if process.stdout else ""
            status = process.wait()
        except BaseException:
            process.terminate()
            raise
        finally:
            in_time = timer.is_alive()
            timer.cancel()
        reader.join(5)
    if status != 0:
        why = f"exited with status {status}" if in_time else f"did not finish within {limit_s:.0f} s"
        last_line = last_lines[-1].removeprefix("okr: ") if last_lines else ""
        what = f"`okr {' '.join(arguments)}` {why}" + (f": {last_line}" if last_line else "")
        raise StepFailed(what, log=log, fix=fix, last_line=last_line, status=status)
    return output


def _follow_output(
    process: "subprocess.Popen[str]",
    log: Path,
    last_lines: list[str],
    say: Callable[[str], None] | None,
    output_ended: threading.Event,
) -> None:
    with log.open("a", encoding="utf-8") as file:
        for line in process.stderr or ():
            file.write(line)
            if text := line.strip():
                last_lines[:] = [text]
                if say:
                    say(text[:100])
    output_ended.set()
