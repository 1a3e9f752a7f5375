"""The error of a failed demo step: the step, its log and the likely fix."""

from pathlib import Path

from lakehouse.errors import PermanentError


class StepFailed(PermanentError):
    """A step of the demo did not succeed."""

    def __init__(self, what: str, *, log: Path | str, fix: str, said: str = "", status: int | None = None) -> None:
        super().__init__(f"{what}\n  log:  {log}\n  fix:  {fix}")
        self.said, self.status = said, status  # the last line and exit status of the command
