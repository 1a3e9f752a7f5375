"""Telling a whole commit file from one that a power cut has torn.

delta-rs writes a commit beside its place and links it there, so a killed process never leaves half of one. A power cut
may: nothing is flushed. delta-rs refuses a torn line, but a file that ends between two lines it reads as a smaller
commit: rows without their offset (they would be landed twice), or removed files without their replacement.

An empty file is a commit without actions to every reader: no offset moved with it, and landing goes on from there.
"""

import json
from typing import Any


def torn_reason(commit: bytes) -> str:
    """Return what is missing of a commit file; nothing when it is whole, or empty."""
    if not commit:
        return ""
    try:
        actions = [json.loads(line) for line in commit.splitlines()]
    except ValueError:  # torn UTF-8 is one, too
        return "it ends within a line"
    info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    if not str(info.get("engineInfo", "")).startswith("delta-rs"):
        return ""  # written by another engine, whose rules are not known here
    if commit.endswith(b"\n"):
        return "it ends after a line that was not the last one"
    wanted = _promised(info)
    counts = {kind: sum(kind in action for action in actions) for kind in wanted}
    missing = [f"{counts[kind]} of {number} {kind} actions" for kind, number in wanted.items() if counts[kind] < number]
    return f"it holds {', '.join(missing)}" if missing else ""


def _promised(info: dict[str, Any]) -> dict[str, int]:
    """Return how many actions of a kind the first line says that the others are, at least."""
    metrics = info.get("operationMetrics", {})
    if info.get("operation") == "OPTIMIZE":
        return {"remove": int(metrics["numFilesRemoved"]), "add": int(metrics["numFilesAdded"])}
    if info.get("operation") == "WRITE":
        # Landing and merges tell what a commit is of; the appends of older versions have a file and an offset at least.
        told = {"add": "files", "remove": "removed", "txn": "partitions"}
        return {kind: int(info.get(name, kind != "remove")) for kind, name in told.items()}
    return {}
