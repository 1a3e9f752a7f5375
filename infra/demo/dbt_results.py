"""What dbt did in the newest run, from the artifacts it leaves."""

import json
from pathlib import Path


def dbt_results(target: Path) -> dict[str, int]:
    """Return how many models were built and kept, and how many checks passed: data tests, constraints of contracts."""
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    done = {each["unique_id"]: each["status"] for each in results}
    built = [name for name, status in done.items() if name.startswith("model.") and status == "success"]
    models = [node for node in nodes.values() if node["resource_type"] == "model"]
    kept = sum(node["config"]["materialized"] != "ephemeral" for node in models) - len(built)
    return {
        "models built": len(built),
        **({"kept from the run before": kept} if kept else {}),
        "data tests passed": sum(name.startswith("test.") and status == "pass" for name, status in done.items()),
        "constraints enforced": sum(_constraints(nodes[name]) for name in built),
    }


def _constraints(model: dict[str, object]) -> int:
    columns = model["columns"]
    own = model.get("constraints") or []
    if not isinstance(columns, dict) or not isinstance(own, list):
        return 0
    return len(own) + sum(len(column.get("constraints") or []) for column in columns.values())
