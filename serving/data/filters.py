"""Filters by team, cycle and other entities, which are given by id or name. An unknown name is an error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.data.similar_ids import known_names, similar_ids
from serving.errors import UnknownName
from serving.publication_reader import Reader, Row

ID_ONLY = frozenset({"objective", "key_result", "user"})


@dataclass(frozen=True)
class KeyResultFilter:
    """Selects key results by team and cycle (ids or names) and by status. An empty list matches everything."""

    teams: list[str] = field(default_factory=list)
    cycles: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    archived: bool = False

    def values(self) -> Row:
        """Return the query parameters."""
        names = {name: getattr(self, name) or None for name in ("teams", "cycles", "statuses")}
        return {**names, "archived": self.archived}


def check_names(reader: Reader, wanted: KeyResultFilter, visible: Mapping[str, Any], pointer: str = "query") -> None:
    """Check that the publication contains every team and cycle of a filter.

    Raises:
        UnknownName: a name is unknown; the error suggests similar ones.
    """
    check_known(reader, {"team": wanted.teams, "cycle": wanted.cycles}, visible, pointer)


def check_known(
    reader: Reader, wanted: Mapping[str, Sequence[str]], visible: Mapping[str, Any], pointer: str = "query"
) -> None:
    """Check that the publication contains every name. `wanted` maps entity types, such as `key_result`, to names.

    A name that the caller may not see is unknown.

    Raises:
        UnknownName: a name is unknown; the error suggests similar ones.
    """
    for entity_type, names in wanted.items():
        if not names:
            continue
        known = known_names(reader, entity_type, visible)
        for name in names:
            if name not in known:
                raise UnknownName(
                    f"The current publication has no {entity_type.replace('_', ' ')} with the "
                    f"{'id' if entity_type in ID_ONLY else 'id or name'} {name!r}.",
                    pointer=f"{pointer} {entity_type}",
                    similar=similar_ids(reader, entity_type, name, visible),
                )
