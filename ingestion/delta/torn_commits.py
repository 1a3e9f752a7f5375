"""Detect commit files that were torn by a power cut.

delta-rs writes a commit to a temporary file and then links it, so a killed process never leaves a partial commit. A
power cut can leave one, because nothing is flushed. delta-rs rejects a file that ends within a line. However, it reads
a file that ends between two lines as a smaller commit. Such a commit may have rows without their offset, which would
then land twice, or removed files without their replacements.

All readers treat an empty file as a commit without actions. It changed no offset, so landing can continue after it.
"""

import json
from typing import Any


def torn_reason(commit: bytes) -> str:
    """Return why a commit file is torn, or "" if it is complete or empty."""
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
    expected = _expected_actions(info)
    counts = {kind: sum(kind in action for action in actions) for kind in expected}
    missing = [
        f"{counts[kind]} of {minimum} {kind} actions" for kind, minimum in expected.items() if counts[kind] < minimum
    ]
    return f"it has only {', '.join(missing)}" if missing else ""


def _expected_actions(info: dict[str, Any]) -> dict[str, int]:
    """Return the minimum number of actions of each kind according to the commit's first line."""
    metrics = info.get("operationMetrics", {})
    if info.get("operation") == "OPTIMIZE":
        return {"remove": int(metrics["numFilesRemoved"]), "add": int(metrics["numFilesAdded"])}
    if info.get("operation") == "WRITE":
        # Landing and compaction store these counts in the commit. Commits of earlier releases have no counts,
        # but they add at least one file and one offset.
        names = {"add": "files", "remove": "removed", "txn": "partitions"}
        return {kind: int(info.get(name, kind != "remove")) for kind, name in names.items()}
    return {}
