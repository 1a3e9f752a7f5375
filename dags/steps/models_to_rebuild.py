"""Select the models to rebuild: all that depend on event types loaded since the last build."""

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

# All staging views exclude the events in this table. Every build rebuilds it, but its content rarely changes. If it
# does, all models are built (lakehouse.publishing.marts_build.withheld_events_changed).
WITHHELD_MODEL = "int_withheld_event"


def models_to_rebuild(manifest: "Manifest", changed: Collection[str]) -> list[str]:
    """Return the names of the models to rebuild. Staging views are left out, because they do not depend on the data."""
    models = {unique_id: node for unique_id, node in manifest.nodes.items() if node.resource_type == "model"}
    staging = {unique_id for unique_id, node in models.items() if node.fqn[1] == "staging"}
    withheld = {unique_id for unique_id, node in models.items() if node.name == WITHHELD_MODEL}
    changed_views = {
        unique_id
        for unique_id in staging
        if any(f"'{event_type}'" in models[unique_id].raw_code for event_type in changed)
    }
    parents = {unique_id: set(models[unique_id].depends_on_nodes) for unique_id in models.keys() - staging}
    affected = changed_views | {
        unique_id for unique_id, inputs in parents.items() if any(parent.startswith("source.") for parent in inputs)
    }
    while more := {unique_id for unique_id, inputs in parents.items() if inputs & (affected - withheld)} - affected:
        affected |= more
    return sorted(models[unique_id].name for unique_id in affected - staging if not models[unique_id].is_ephemeral)
