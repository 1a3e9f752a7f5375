"""What a failed step tells: which one, where its log is, and the likely mend."""

from pathlib import Path

from lakehouse.errors import PermanentError


class StepFailed(PermanentError):
    """A step of the demo did not succeed."""

    def __init__(self, what: str, *, log: Path | str, fix: str, said: str = "", status: int | None = None) -> None:
        super().__init__(f"{what}\n  log:  {log}\n  fix:  {fix}")
        self.said, self.status = said, status  # of the command that was run: its last line and its exit status
