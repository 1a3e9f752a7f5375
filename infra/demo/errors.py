"""The error of a failed demo step: the step, its log and the likely fix."""

from pathlib import Path

from lakehouse.errors import PermanentError


class StepFailed(PermanentError):
    """A step of the demo did not succeed."""

    def __init__(self, what: str, *, log: Path | str, fix: str, last_line: str = "", status: int | None = None) -> None:
        super().__init__(f"{what}\n  log:  {log}\n  fix:  {fix}")
        self.last_line, self.status = last_line, status  # the last output line and the exit status of the command
