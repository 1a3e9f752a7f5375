"""Prove that a recovery point can be restored: by the lists of its files, by reading every byte, or by restoring it."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.backup import lake, restored_postgres
from infra.backup.metrics import Metrics
from infra.backup.point import PARTS, Point
from infra.backup.repository import Repository
from lakehouse.errors import PermanentError

Say = Callable[[str], None]
SEGMENTS_PER_FILE_NUMBER = 0x100  # with segments of 16 MB


def verify_lists(repository: Repository, point: Point, lake_uri: str) -> None:
    """Check that the parts of the newest point are complete, by the lists of their files.

    Raises:
        PermanentError: a snapshot, a data file of the lake or a segment of PostgreSQL's log is missing.
    """
    verify_snapshots(repository, point)
    if "lake" in point.snapshots:
        _require_lake(point, repository.files(point.snapshots["lake"]), lake_uri)


def verify_snapshots(repository: Repository, point: Point) -> None:
    """Check that the repository has all parts of a point, and PostgreSQL's log without a gap.

    Raises:
        PermanentError: a snapshot or a segment is missing.
    """
    existing = {each.id for each in repository.snapshots()}
    snapshots = {**point.snapshots, "postgres": point.base.snapshot}
    missing = [part for part, snapshot in snapshots.items() if not any(each.startswith(snapshot) for each in existing)]
    if missing:
        raise PermanentError(f"The recovery point {point.id} lacks {', '.join(missing)}. Run `okr backup run` again.")
    _require_wal(point, [Path(path).name for path in repository.files(point.snapshots["wal"])])


def verify_by_restoring(repository: Repository, point: Point, state: Path, say: Say) -> None:
    """Restore PostgreSQL and the lake beside the platform, and compare their positions with those of the point.

    Raises:
        PermanentError: they cannot be restored, or differ.
    """
    folder = state / "backup" / "verify"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        say("Restoring PostgreSQL into a temporary cluster ...")
        recovered = restored_postgres.restore(repository, point, point.base, None, folder / "postgres", state)
        if (recovered.loaded, recovered.applied) != (point.cut.loaded, point.cut.applied):
            raise PermanentError(
                f"PostgreSQL restored from the recovery point {point.id} is at {recovered.loaded}, but the point says "
                f"{point.cut.loaded}. Do not rely on it: run `okr backup run` and verify again."
            )
        if "lake" in point.snapshots:
            say("Restoring the lake ...")
            repository.restore(point.snapshots["lake"], folder / "lake")
            restored = str(folder / "lake" / point.roots["lake"].lstrip("/"))
            for topic, version in point.cut.lake.items():
                lake.truncate(restored, topic, version.version)
                if lake.version_of(restored, topic) != version:
                    raise PermanentError(f"{topic} of the recovery point {point.id} has other offsets than it says.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def note_verified(metrics: Metrics, point: Point) -> None:
    """Note in the metrics that the parts of a point were read back."""
    for part in PARTS:
        if part in point.snapshots:
            metrics.verified(part)
    metrics.write()


def _require_lake(point: Point, saved: Mapping[str, int], lake_uri: str) -> None:
    for topic, version in point.cut.lake.items():
        required = lake.required_files(lake_uri, topic, version.version)
        absent = [path for path, size in required.items() if saved.get(str(path.absolute())) != size]
        if absent:
            raise PermanentError(
                f"The recovery point {point.id} lacks {len(absent)} of {len(required)} data files of {topic}, such as "
                f"{absent[0].name}. Run `okr backup run` again."
            )


def _require_wal(point: Point, names: list[str]) -> None:
    """Check that PostgreSQL's log has no gap from the base backup on."""
    numbers = sorted(_number(name) for name in names if name[8:] >= point.base.first_segment[8:])
    expected = list(range(_number(point.base.first_segment), _number(point.base.first_segment) + len(numbers)))
    if not numbers or numbers != expected:
        raise PermanentError(
            f"PostgreSQL's write-ahead log in the recovery point {point.id} has a gap after "
            f"{point.base.first_segment}. Run `okr backup run`, which makes a new base backup."
        )


def _number(segment: str) -> int:
    return int(segment[8:16], 16) * SEGMENTS_PER_FILE_NUMBER + int(segment[16:], 16)
