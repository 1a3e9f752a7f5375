"""A file that the shipper touches whenever nothing is waiting, so that other processes know how far it is behind."""

import os
import time
from pathlib import Path

from serving.prediction_log.segment_file import SUFFIX

MARK = "shipped_at"


def mark_all_shipped(folder: Path) -> None:
    """Record that everything has been shipped."""
    mark = folder / MARK
    try:
        os.utime(mark)
    except FileNotFoundError:
        mark.touch(mode=0o600)


def seconds_behind(folder: Path) -> float:
    """Return for how many seconds the oldest prediction has been waiting, at most; 0 if none waits."""
    if not any(folder.glob(f"*{SUFFIX}")):
        return 0.0
    try:
        return max(0.0, time.time() - (folder / MARK).stat().st_mtime)
    except FileNotFoundError:
        return max(0.0, time.time() - min(file.stat().st_mtime for file in folder.glob(f"*{SUFFIX}")))
