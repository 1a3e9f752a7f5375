"""One event of a request, before it is stored."""

from dataclasses import dataclass
from typing import Any

from serving.writes.operations import Kind, Writable
from serving.writes.store import Entity

ANY_VERSION = "*"


@dataclass(frozen=True)
class Item:
    """An event that a request asks for. `pointer` is the location of its data in the body.

    A definition without `if_match` must be new. A definition with `if_match` replaces the version with this entity tag,
    or any version if the tag is ANY_VERSION.
    """

    writable: Writable
    entity_id: str
    data: dict[str, Any]
    pointer: str
    if_match: str | None = None

    @property
    def entity(self) -> Entity:
        """Return the event type and the entity's id."""
        return self.writable.event_type, self.entity_id

    @property
    def is_definition(self) -> bool:
        """Return whether the event is the full state of its entity."""
        return self.writable.kind is Kind.DEFINITION

    @property
    def has_version(self) -> bool:
        """Return whether the event must be its entity's first or replace a known version. Endings may be repeated."""
        return self.writable.kind is not Kind.ENDING
