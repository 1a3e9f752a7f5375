"""Read the results of the latest dbt run from its artifacts."""

import json
from pathlib import Path


def dbt_results(target: Path) -> dict[str, int]:
    """Return the number of models built, of models carried over, and of enforced contract constraints."""
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    done = {each["unique_id"]: each["status"] for each in results}
    built = [name for name, status in done.items() if name.startswith("model.") and status == "success"]
    models = [node for node in nodes.values() if node["resource_type"] == "model"]
    carried_over = sum(node["config"]["materialized"] != "ephemeral" for node in models) - len(built)
    return {
        "models built": len(built),
        **({"carried over from the previous publication": carried_over} if carried_over else {}),
        "constraints enforced": sum(_constraints(nodes[name]) for name in built),
    }


def _constraints(model: dict[str, object]) -> int:
    columns = model["columns"]
    own = model.get("constraints") or []
    if not isinstance(columns, dict) or not isinstance(own, list):
        return 0
    return len(own) + sum(len(column.get("constraints") or []) for column in columns.values())
