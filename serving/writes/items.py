"""One event of a request, before it is stored."""

from dataclasses import dataclass
from typing import Any

from serving.writes.operations import Kind, Written
from serving.writes.store import Entity

ANY_VERSION = "*"


@dataclass(frozen=True)
class Item:
    """An event that a request asks for. `pointer` locates its data in the body.

    A definition without `if_match` must be new. With it, it replaces the version of that entity tag, or any version
    if the tag is ANY_VERSION.
    """

    written: Written
    entity_id: str
    data: dict[str, Any]
    pointer: str
    if_match: str | None = None

    @property
    def entity(self) -> Entity:
        """Return the event type and the entity's id."""
        return self.written.event_type, self.entity_id

    @property
    def is_definition(self) -> bool:
        """Return whether the event is the full state of its entity."""
        return self.written.kind is Kind.DEFINITION

    @property
    def has_version(self) -> bool:
        """Return whether the event may come only once, or only in place of a known version. Endings may come again."""
        return self.written.kind is not Kind.ENDING
