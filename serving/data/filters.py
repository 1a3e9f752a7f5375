"""Filters by team, cycle and status. Teams and cycles are matched by id or name. An unknown name is an error."""

from dataclasses import dataclass, field

from serving.errors import UnknownName
from serving.publication_reader import Reader, Row
from serving.suggestions import similar_names

PACKAGE = "serving.data"


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


def check_names(reader: Reader, wanted: KeyResultFilter, pointer: str = "query") -> None:
    """Check that the publication contains every team and cycle of a filter.

    Raises:
        UnknownName: a name is unknown; the error suggests similar ones.
    """
    for noun, names in (("team", wanted.teams), ("cycle", wanted.cycles)):
        if not names:
            continue
        known = reader.rows(PACKAGE, f"{noun}_names")
        names_and_ids = {text for row in known for text in (row["id"], row["name"]) if text is not None}
        for name in names:
            if name not in names_and_ids:
                similar = similar_names(name, names_and_ids)
                raise UnknownName(
                    f"The current publication has no {noun} with the id or name {name!r}.",
                    pointer=f"{pointer} {noun}",
                    similar=similar,
                )
