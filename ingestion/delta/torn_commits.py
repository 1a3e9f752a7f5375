"""Detect commit files that a power cut has torn.

delta-rs writes a commit to a temporary file and links it, so a killed process never leaves a partial one. A power cut
may leave one, because nothing is flushed. delta-rs rejects a partial line, but it reads a file that ends between two
lines as a smaller commit: rows without their offset (which would land twice), or removed files without replacements.

For every reader, an empty file is a commit without actions: it changed no offset, and landing continues from there.
"""

import json
from typing import Any


def torn_reason(commit: bytes) -> str:
    """Return what a commit file lacks, or "" if it is whole or empty."""
    if not commit:
        return ""
    try:
        actions = [json.loads(line) for line in commit.splitlines()]
    except ValueError:  # includes partial UTF-8
        return "it ends within a line"
    info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    if not str(info.get("engineInfo", "")).startswith("delta-rs"):
        return ""  # written by another engine, whose format may differ
    if commit.endswith(b"\n"):
        return "it ends after a line that was not the last one"
    wanted = _expected_actions(info)
    counts = {kind: sum(kind in action for action in actions) for kind in wanted}
    missing = [f"{counts[kind]} of {number} {kind} actions" for kind, number in wanted.items() if counts[kind] < number]
    return f"it has only {', '.join(missing)}" if missing else ""


def _expected_actions(info: dict[str, Any]) -> dict[str, int]:
    """Return the minimum number of actions of each kind according to the commit's first line."""
    metrics = info.get("operationMetrics", {})
    if info.get("operation") == "OPTIMIZE":
        return {"remove": int(metrics["numFilesRemoved"]), "add": int(metrics["numFilesAdded"])}
    if info.get("operation") == "WRITE":
        # Landing and compaction store the counts in the commit. Appends by earlier versions did not, but have at least
        # one file and one offset.
        names = {"add": "files", "remove": "removed", "txn": "partitions"}
        return {kind: int(info.get(name, kind != "remove")) for kind, name in names.items()}
    return {}
