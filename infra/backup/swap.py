"""Put restored parts in their places. Until then, nothing of the platform was changed.

A part that is replaced is kept in `replaced/` until the next restore. While parts change places, a marker makes
`okr up` refuse to start, because the parts may not fit each other.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from lakehouse.errors import PermanentError

STAGING, REPLACED = "restore", "replaced"
MARKER = "restore.incomplete"


def prepare(target: Path) -> Path:
    """Return an empty folder for the restored parts, and remove what an interrupted restore has left."""
    staging = target / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True, mode=0o700)
    return staging


def put_in_place(target: Path, parts: Mapping[Path, Path]) -> None:
    """Move each restored path to its place, and what was there to `replaced`."""
    marker, replaced = target / MARKER, target / REPLACED
    marker.write_text(json.dumps([str(path) for path in parts.values()]), encoding="utf-8")
    shutil.rmtree(replaced, ignore_errors=True)
    for restored, place in parts.items():
        if place.exists():
            kept = replaced / place.name
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(place, kept)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.move(restored, place)
    marker.unlink()
    shutil.rmtree(target / STAGING, ignore_errors=True)


def require_complete(state: Path) -> None:
    """Check that no restore was interrupted while parts changed places.

    Raises:
        PermanentError: one was.
    """
    if (state / MARKER).exists():
        raise PermanentError(
            f"A restore of {state} was interrupted, so its parts may not fit each other. Repeat the same `okr "
            "restore`: it starts again from the repository."
        )
