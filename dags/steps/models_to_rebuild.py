"""Select the models to rebuild: all that depend on event types loaded since the last build."""

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

# All staging views exclude the events in this table, which every build rebuilds but which rarely changes. If it does
# change, all models are built (lakehouse.marts_build.counts_other_events).
WITHHELD = "int_withheld_event"


def models_to_rebuild(manifest: "Manifest", changed: Collection[str]) -> list[str]:
    """Return the names of the models to rebuild. Staging views are left out, because they do not depend on the data."""
    models = {key: node for key, node in manifest.nodes.items() if node.resource_type == "model"}
    staging = {key for key, node in models.items() if node.fqn[1] == "staging"}
    withheld = {key for key, node in models.items() if node.name == WITHHELD}
    read = {key for key in staging if any(f"'{event_type}'" in models[key].raw_code for event_type in changed)}
    parents = {key: set(models[key].depends_on_nodes) for key in models.keys() - staging}
    found = read | {key for key, of in parents.items() if any(parent.startswith("source.") for parent in of)}
    while grown := {key for key, of in parents.items() if of & (found - withheld)} - found:
        found |= grown
    return sorted(models[key].name for key in found - staging if not models[key].is_ephemeral)
