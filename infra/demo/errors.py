"""What a failed step tells: which one, where its log is, and the likely mend."""

from pathlib import Path

from lakehouse.errors import PermanentError


class StepFailed(PermanentError):
    """A step of the demo did not succeed."""

    def __init__(self, what: str, *, log: Path | str, mend: str) -> None:
        super().__init__(f"{what}\n  log:  {log}\n  mend: {mend}")
