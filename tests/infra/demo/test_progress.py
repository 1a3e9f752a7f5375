import io

import pytest
from rich.console import Console

from infra.demo.progress import Progress


def plain():
    return Progress(Console(file=io.StringIO(), width=200))


def test_without_a_terminal_each_step_prints_a_line_at_its_start_and_end():
    progress = plain()
    with progress.step("land") as step:
        step.say("3 of 4 landed")
    lines = progress.console.file.getvalue().splitlines()
    assert lines[0] == "... land"
    assert lines[-1].startswith("done")
    assert lines[-1].endswith("land  3 of 4 landed")


def test_a_failed_step_is_printed_and_its_error_is_raised():
    progress = plain()
    with pytest.raises(RuntimeError), progress.step("publish"):
        raise RuntimeError("refused")
    assert progress.console.file.getvalue().splitlines()[-1].startswith("failed")
