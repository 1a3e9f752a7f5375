"""The source of the demo's history, and its record in the state folder."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakehouse.atomic_replace import replace_file
from lakehouse.errors import PermanentError

RECORD_FILE = "demo.json"
DATA_FILES = ("key_results.csv", "check_ins.csv")


@dataclass(frozen=True)
class Source:
    """A simulated organisation, or a folder with the history of a real one."""

    data: Path | None
    scale: str

    @property
    def identity(self) -> str:
        """Return the text that identifies the source in a state folder. Each data folder is a separate organisation."""
        return f"files:{self.data}" if self.data else f"simulation:{self.scale}"

    @property
    def label(self) -> str:
        """Return a readable name for the source."""
        return self.data.name if self.data else "simulation"

    @property
    def time_limit_factor(self) -> int:
        """Return the factor by which the time limits of the steps are multiplied."""
        return 3 if self.scale == "large" and not self.data else 1

    def produce_arguments(self) -> list[str]:
        """Return the arguments of the `okr` command that sends the history."""
        if self.data:
            return ["produce", "files", str(self.data), "--json"]
        return ["produce", "simulation", "--scale", self.scale, "--json"]


def open_source(data: Path | None, scale: str) -> Source:
    """Return the source for the options of `okr demo`.

    Raises:
        PermanentError: the folder does not exist, or a file is missing from it.
    """
    if data is None:
        return Source(None, scale)
    missing = [name for name in DATA_FILES if not (data / name).is_file()]
    if missing:
        raise PermanentError(
            f"{data} does not contain {' and '.join(missing)}. DATA expects a folder with key_results.csv "
            "and check_ins.csv (docs/data-format.md); `okr simulate --out <folder>` writes an example."
        )
    return Source(data.resolve(), scale)


def fingerprint(source: Source) -> str:
    """Return a digest of the source's files, so that changed files are sent again; empty for a simulation."""
    digest = hashlib.sha256()
    for name in DATA_FILES if source.data else ():
        digest.update((source.data / name).read_bytes() if source.data else b"")
    return digest.hexdigest() if source.data else ""


def read_record(state: Path) -> dict[str, Any] | None:
    """Return the record that an earlier demo wrote into this state folder, or None."""
    try:
        found: dict[str, Any] = json.loads((state / RECORD_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PermanentError(f"{state / RECORD_FILE} is damaged. Remove it, or run `make clean`.") from error
    return found


def write_record(state: Path, source: Source, produced: dict[str, Any] | None) -> None:
    """Record the source of this state folder; `produced` is None until its whole history has been sent."""
    record = {"source": source.identity, "fingerprint": fingerprint(source), "produced": produced}
    replace_file(state / RECORD_FILE, json.dumps(record, indent=2))


def move_away(state: Path, record: dict[str, Any]) -> Path:
    """Rename the state folder of a stopped stack, so that another organisation can start with an empty one."""
    label = Path(str(record["source"])).name.replace(":", "-")
    moved = state.with_name(f"{state.name}-{label}-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    state.rename(moved)
    return moved
