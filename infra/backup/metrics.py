"""The metrics of backups, in a file that the metrics collector gives to Prometheus. It is replaced atomically."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from lakehouse.atomic_replace import replace_file
from lakehouse.logs import get_logger
from lakehouse.settings import Settings

log = get_logger(__name__)

FILE = "backup.prom"  # in OKR_METRICS_DIR
STATE = Path("backup") / "metrics.json"  # the values of the parts that a run did not touch
METRICS = {
    "last_success_timestamp_seconds": "When the part was last stored.",
    "last_verified_timestamp_seconds": "When the part was last read back and found complete.",
    "size_bytes": "Size of the part in the newest recovery point.",
    "last_result": "1 if the last run stored the part, 0 if it failed.",
}


@dataclass
class Metrics:
    """The values of each metric by part. `folder` is OKR_METRICS_DIR."""

    state: Path
    folder: Path
    values: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the metrics of the installation that the settings describe."""
        return cls(settings.state.absolute(), settings.metrics_dir)

    def __post_init__(self) -> None:
        """Read the values of earlier runs; without them, each part appears when it is first stored."""
        self.values = self._stored()

    def _stored(self) -> dict[str, dict[str, float]]:
        try:
            stored: Mapping[str, Any] = json.loads((self.state / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            stored = {}
        return {name: dict(stored.get(name, {})) for name in METRICS}

    def succeeded(self, part: str, size_bytes: int) -> None:
        """Note that a part was stored."""
        self.values["last_success_timestamp_seconds"][part] = time.time()
        self.values["size_bytes"][part] = size_bytes
        self.values["last_result"][part] = 1

    def failed(self, part: str) -> None:
        """Note that a part was not stored."""
        self.values["last_result"][part] = 0

    def verified(self, part: str) -> None:
        """Note that a part was read back."""
        self.values["last_verified_timestamp_seconds"][part] = time.time()

    def write(self) -> None:
        """Replace the files. A failure is only logged, because the backup itself matters more.

        A check and a backup can run at the same time, so the later time of each part counts.
        """
        for name, stored in self._stored().items():
            if name.endswith("_timestamp_seconds"):
                own = self.values[name]
                self.values[name] = {part: max(own.get(part, 0), stored.get(part, 0)) for part in {**stored, **own}}
        try:
            for path, text in ((self.state / STATE, json.dumps(self.values)), (self.folder / FILE, self.text())):
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_file(path, text)
        except OSError as error:
            log.warning("the backup's metrics could not be written", path=str(self.folder / FILE), error=str(error))

    def text(self) -> str:
        """Return the metrics in the Prometheus text format."""
        lines: list[str] = []
        for name, about in METRICS.items():
            lines += [f"# HELP okr_backup_{name} {about}", f"# TYPE okr_backup_{name} gauge"]
            lines += [f'okr_backup_{name}{{part="{part}"}} {value:.0f}' for part, value in self.values[name].items()]
        return "\n".join(lines) + "\n"
