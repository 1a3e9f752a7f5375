"""Names in filters: a team or cycle by its id or name. One that nobody knows is an error, never an empty answer."""

from dataclasses import dataclass, field

from serving.errors import UnknownName
from serving.publication_reader import Reader, Row
from serving.suggestions import similar_names

PACKAGE = "serving.data"


@dataclass(frozen=True)
class KeyResultFilter:
    """Which key results: of any of the teams and cycles (ids or names) and statuses; an empty list does not filter."""

    teams: list[str] = field(default_factory=list)
    cycles: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    archived: bool = False

    def values(self) -> Row:
        """Return the parameters of the queries."""
        names = {name: getattr(self, name) or None for name in ("teams", "cycles", "statuses")}
        return {**names, "archived": self.archived}


def check_names(reader: Reader, wanted: KeyResultFilter, pointer: str = "query") -> None:
    """Check that the publication knows every team and cycle of a filter.

    Raises:
        UnknownName: it does not; the error names known ones that look alike.
    """
    for noun, names in (("team", wanted.teams), ("cycle", wanted.cycles)):
        if not names:
            continue
        known = reader.rows(PACKAGE, f"{noun}_names")
        words = {word for row in known for word in (row["id"], row["name"]) if word is not None}
        for name in names:
            if name not in words:
                alike = similar_names(name, words)
                raise UnknownName(
                    f"The current publication knows no {noun} of the id or name {name!r}.",
                    pointer=f"{pointer} {noun}",
                    similar=alike,
                )
