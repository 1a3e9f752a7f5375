"""A recovery point: what one run of `okr backup` has stored, and the positions at which all parts agree."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from infra.backup.lake import TableVersion
from infra.backup.repository import Repository
from lakehouse.errors import PermanentError

PART = "point"
FILE = "point.json"
PARTS = ("postgres", "wal", "lake", "models", "kafka", "settings")
FORMAT = 1


@dataclass(frozen=True)
class Base:
    """A base backup of PostgreSQL: where it starts in the write-ahead log, and when it ended."""

    snapshot: str
    first_segment: str
    ended_at: str


@dataclass(frozen=True)
class Cut:
    """A mark in PostgreSQL's write-ahead log, and the versions of the lake that fit it.

    `loaded` are the watermarks of raw by topic and partition, `applied` the offsets of the state tables. `destroyed`
    are the owners whose keys were destroyed (ADR 34).
    """

    name: str
    at: str
    lake: Mapping[str, TableVersion]
    loaded: Mapping[str, Mapping[int, int]]
    applied: Mapping[str, Mapping[int, int]]
    destroyed: tuple[str, ...]
    revision: str


@dataclass(frozen=True)
class Point:
    """One recovery point. `snapshots`, `roots` (the folder that was saved) and `sizes` in bytes are by part.

    Parts that this run did not store name the snapshots of earlier runs.

    `number` orders points, because a clock can be set back.
    """

    id: str
    number: int
    created_at: str
    is_full: bool
    version: str
    password_digest: str
    postgres_major: int
    system_id: str
    life: str
    base: Base
    cut: Cut
    snapshots: Mapping[str, str]
    roots: Mapping[str, str]
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def moment(self) -> datetime:
        """When the cut was made."""
        return datetime.fromisoformat(self.cut.at)

    def to_json(self) -> str:
        """Return the point as JSON."""
        return json.dumps(asdict(self) | {"format": FORMAT})

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read a point.

        Raises:
            PermanentError: a later release has written it.
        """
        values: dict[str, Any] = json.loads(text)
        if values.pop("format") != FORMAT:
            raise PermanentError(
                f"This backup was made by the release {values.get('version')}, in a form that this release does not "
                "know. Restore it with that release."
            )
        cut = values.pop("cut")
        lake = {
            topic: TableVersion(each["version"], each["log_id"], _by_partition(each["positions"]))
            for topic, each in cut.pop("lake").items()
        }
        loaded = {topic: _by_partition(each) for topic, each in cut.pop("loaded").items()}
        applied = {topic: _by_partition(each) for topic, each in cut.pop("applied").items()}
        destroyed = tuple(cut.pop("destroyed"))
        base = Base(**values.pop("base"))
        return cls(base=base, cut=Cut(lake=lake, loaded=loaded, applied=applied, destroyed=destroyed, **cut), **values)


def _by_partition(offsets: Mapping[str, int]) -> dict[int, int]:
    return {int(partition): offset for partition, offset in offsets.items()}


def points_of(repository: Repository) -> list[Point]:
    """Return all recovery points whose run completed, the oldest first.

    Raises:
        RetryableError: the repository cannot be read.
    """
    found = [Point.from_json(repository.read(each.id, f"/{FILE}")) for each in repository.snapshots(PART)]
    return sorted(found, key=lambda point: point.number)
