"""Where the demo's history comes from, and the record that a state folder keeps of it."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakehouse.atomic_replace import replace_file
from lakehouse.errors import PermanentError

RECORD = "demo.json"
FILES = ("key_results.csv", "check_ins.csv")


@dataclass(frozen=True)
class Source:
    """A simulated organisation, or a folder with an organisation's own history."""

    data: Path | None
    scale: str

    @property
    def key(self) -> str:
        """What a state folder remembers; two folders with other paths are two organisations."""
        return f"files:{self.data}" if self.data else f"simulation:{self.scale}"

    @property
    def label(self) -> str:
        """Name the source for people and for a folder name."""
        return self.data.name if self.data else "simulation"

    @property
    def patience(self) -> int:
        """How many times as long as usual its steps may take."""
        return 3 if self.scale == "large" and not self.data else 1

    def produce_arguments(self) -> list[str]:
        """Return the command that sends the history."""
        if self.data:
            return ["produce", "files", str(self.data), "--json"]
        return ["produce", "simulation", "--scale", self.scale, "--json"]


def open_source(data: Path | None, scale: str) -> Source:
    """Return the source that a user named.

    Raises:
        PermanentError: the folder is not there or lacks a file.
    """
    if data is None:
        return Source(None, scale)
    missing = [name for name in FILES if not (data / name).is_file()]
    if missing:
        raise PermanentError(
            f"{data} does not hold {' and '.join(missing)}. DATA expects a folder with key_results.csv "
            "and check_ins.csv (docs/data-format.md); `okr simulate --out <folder>` writes an example."
        )
    return Source(data.resolve(), scale)


def fingerprint(source: Source) -> str:
    """Return a digest of the source's files, empty for a simulation: a changed file is sent again."""
    digest = hashlib.sha256()
    for name in FILES if source.data else ():
        digest.update((source.data / name).read_bytes() if source.data else b"")
    return digest.hexdigest() if source.data else ""


def read_record(state: Path) -> dict[str, Any] | None:
    """Return what a demo before left in this state folder, or None."""
    try:
        found: dict[str, Any] = json.loads((state / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PermanentError(f"{state / RECORD} is damaged: remove it, or the whole folder by `make clean`.") from error
    return found


def write_record(state: Path, source: Source, produced: dict[str, Any] | None) -> None:
    """Remember the source of this state folder; `produced` once its history was sent whole."""
    record = {"source": source.key, "fingerprint": fingerprint(source), "produced": produced}
    replace_file(state / RECORD, json.dumps(record, indent=2))


def move_away(state: Path, record: dict[str, Any]) -> Path:
    """Move a stopped stack's state away, so that another organisation starts with an empty one. Nothing is deleted."""
    label = Path(str(record["source"])).name.replace(":", "-")
    moved = state.with_name(f"{state.name}-{label}-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    state.rename(moved)
    return moved
