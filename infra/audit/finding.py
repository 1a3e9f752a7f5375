"""What the checks of an installation return."""

from dataclasses import dataclass


class NotChecked(Exception):
    """A check does not apply to this installation, or lacks what it needs; the message says why."""


@dataclass(frozen=True)
class Finding:
    """One deviation: what it concerns, what was expected, what was found, and what to do. It contains no secret."""

    subject: str
    expected: str
    found: str
    action: str

    def __str__(self) -> str:
        """Return one line."""
        text = f"{self.subject}: expected {self.expected}, found {self.found}. {self.action}"
        return " ".join(text.split())
