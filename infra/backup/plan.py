"""What a restore will do: the recovery point, the time, the base backup and the parts; and why it may be impossible."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.backup import kafka
from infra.backup.places import SERVER_SETTINGS, Places
from infra.backup.point import PARTS, Base, Point
from lakehouse.errors import PermanentError
from lakehouse.settings import STACK_ENV, Settings

RESTORABLE = tuple(part for part in PARTS if part != "wal")


@dataclass(frozen=True)
class Plan:
    """A restore to the mark of `point` or, if given, to `moment`, from the base backup `base`.

    `destroyed` are the owners of keys that must not come back. `settings` contain what no backup contains. A copy is
    beside the platform that was saved.
    """

    point: Point
    base: Base
    moment: datetime | None
    parts: frozenset[str]
    destroyed: Sequence[str]
    settings: Settings
    is_copy: bool = False


def choose(points: Sequence[Point], at: datetime | None) -> tuple[Point, Base, datetime | None]:
    """Return the recovery point, the base backup and the time of a restore.

    Points are in the order of their numbers, which a clock that is set back does not change.

    Raises:
        PermanentError: there is no point, or none from which this time can be restored.
    """
    if not points:
        raise PermanentError("The repository has no recovery point. Expected at least one complete `okr backup run`.")
    if at is None:
        return points[-1], points[-1].base, None
    point = next((each for each in points if each.moment >= at), None)
    if point is None:
        raise PermanentError(
            f"The newest recovery point is {_show(points[-1].moment)}, which is before {_show(at)}. Leave out --at to "
            "restore it."
        )
    if point.moment == at:
        return point, point.base, None
    same_life = [each for each in points if each.life == point.life and each.number <= point.number]
    usable = [each.base for each in same_life if datetime.fromisoformat(each.base.ended_at) <= at]
    if not usable:
        earliest = min(datetime.fromisoformat(each.base.ended_at) for each in same_life)
        raise PermanentError(
            f"PostgreSQL cannot be restored to {_show(at)}: the first base backup before the recovery point {point.id} "
            f"({_show(point.moment)}) ended at {_show(earliest)}. Choose a later time (`okr backup list`)."
        )
    return point, usable[-1], at


def parts_of(point: Point, wanted: Collection[str], places: Places) -> frozenset[str]:
    """Return the parts to restore. Without a choice: all that must agree, and what is missing.

    Kafka is kept if it is the one that the lake was landed from: its messages since then are landed again.

    Raises:
        PermanentError: a part is unknown, was not saved, or does not fit one that is kept.
    """
    if unknown := set(wanted) - set(RESTORABLE):
        raise PermanentError(f"There is no part {', '.join(sorted(unknown))}. Expected {', '.join(RESTORABLE)}.")
    has_kafka = kafka.cluster_id(places.kafka) in _clusters(point)
    has_settings = (places.state / STACK_ENV).is_file()
    if wanted:
        parts = set(wanted)
    else:
        parts = {"postgres", "lake", "models", *(() if has_kafka else ("kafka",))} & point.snapshots.keys()
        parts |= set() if has_settings else {"settings"}
    parts -= {"models"} - point.snapshots.keys()
    if missing := parts - point.snapshots.keys():
        raise PermanentError(f"The recovery point {point.id} has no {', '.join(sorted(missing))} (`okr backup list`).")
    is_elsewhere = SERVER_SETTINGS.is_file()  # servers have Kafka on the data host, and its folder is moved there
    if (
        not (has_kafka or is_elsewhere or "kafka" in parts)
        and parts & {"lake", "postgres"}
        and ("kafka" in point.snapshots)
    ):
        raise PermanentError(
            f"Kafka in {places.kafka} is missing, or is not the one from which the saved lake was landed, so offsets "
            "would not fit. Restore it as well: leave out --part, or add --part kafka."
        )
    if "kafka" in parts and len(parts & {"lake", "postgres"}) == 1:
        raise PermanentError(
            "With Kafka, restore both PostgreSQL and the lake or neither: without Kafka's messages, the warehouse "
            "could stay ahead of the lake."
        )
    return frozenset(parts)


def require_same_version(point: Point, parts: Collection[str], places: Places) -> None:
    """Check that this release can use what would be restored.

    Raises:
        PermanentError: it cannot; the message says what to do.
    """
    from infra.migrations.revisions import scripts

    if "postgres" not in parts:
        return
    state = places.state
    known = {script.revision for script in scripts().walk_revisions()}
    if point.cut.revision not in known:
        raise PermanentError(
            f"The backup has revision {point.cut.revision} of the schema, of the release {point.version}, which this "
            "release does not know. Restore it with that release or a later one."
        )
    existing = state / "postgres" / "data" / "PG_VERSION"
    if existing.is_file() and int(existing.read_text(encoding="ascii")) > point.postgres_major:
        raise PermanentError(
            f"The backup is of PostgreSQL {point.postgres_major}, but {existing.parent} belongs to PostgreSQL "
            f"{existing.read_text(encoding='ascii').strip()}. Restore it with --to <folder>, run PostgreSQL "
            f"{point.postgres_major} there, and move the databases with pg_dump."
        )
    own = places.password_digest()
    if own and "settings" not in parts and own != point.password_digest:
        raise PermanentError(
            f"{state / STACK_ENV} belongs to another stack, whose passwords PostgreSQL in the backup does not know. "
            "Move the file away, so that the one in the backup is restored, or add --part settings."
        )


def parse_time(text: str) -> datetime:
    """Read a time such as 2026-11-29T10:00 (UTC) or 2026-11-29T11:00+01:00.

    Raises:
        PermanentError: it is not one.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise PermanentError(
            f"{text!r} is not a time. Expected one such as 2026-11-29T10:00 (UTC) or 2026-11-29T11:00+01:00."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _clusters(point: Point) -> set[str]:
    return {table.log_id.partition("/")[0] for table in point.cut.lake.values()}


def _show(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
