"""A log line in the schema of docs/logs.md, whichever program wrote it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lakehouse.log_records.schema import LEVELS


@dataclass(slots=True)
class Entry:
    """One log line. `is_parsed` is false for a line of unknown form, whose event is the complete line."""

    time: datetime
    level: str
    event: str
    service: str
    module: str = ""
    host: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    is_parsed: bool = True

    @property
    def severity(self) -> int:
        """The number of the level."""
        return LEVELS[self.level]

    def document(self) -> dict[str, Any]:
        """Return the entry as an object of the schema."""
        own = {
            "time": f"{self.time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z", "level": self.level, "event": self.event,
            "service": self.service, "host": self.host, "module": self.module or self.service,
        }  # fmt: skip
        return own | self.fields | ({} if self.is_parsed else {"parsed": False})
