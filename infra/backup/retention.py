"""Which recovery points are kept: one rule for all parts (OKR_BACKUP_RETENTION_DAYS).

Kept are all points of the last days, and the last complete one before, from which the first of these days is restored.
Of points without a base backup, only those since the newest base backup are kept: its run has stored PostgreSQL's log
and the lake's versions since the one before.
"""

from collections.abc import Sequence
from datetime import timedelta

from infra.backup.point import Point
from infra.backup.repository import Repository, Snapshot
from infra.backup.repository_errors import DiskFullError

ALWAYS_KEPT = 3  # complete points, even if the clock says that they are old


def kept(points: Sequence[Point], days: int) -> list[Point]:
    """Return the points to keep. Days count back from the newest point, not from the clock, which may be wrong."""
    full = [each for each in points if each.is_full]
    if not full:
        return list(points)
    limit = points[-1].moment - timedelta(days=days)
    old = [each for each in full if each.moment < limit]
    wanted = {each.id for each in (*full[-ALWAYS_KEPT:], *old[-1:])} | {
        each.id for each in points if each.moment >= limit and (each.is_full or each.number > full[-1].number)
    }
    return [each for each in points if each.id in wanted]


def prune(repository: Repository, points: Sequence[Point], days: int) -> tuple[int, int]:
    """Remove all other points and what no point refers to; return how many points and snapshots were removed.

    On a full disk, it uses the reserve of the repository and rewrites no data.

    Raises:
        RetryableError: the repository is in use or cannot be written. The command can be repeated.
    """
    keep = kept(points, days)
    ids = {each.id for each in keep}
    # A point has the short ids that restic prints after a backup; its list has long ones.
    needed = tuple({snapshot for each in keep for snapshot in (each.base.snapshot, *each.snapshots.values())})
    snapshots = repository.snapshots()
    unneeded = [
        each.id
        for each in snapshots
        if not each.id.startswith(needed) and not (each.part == "point" and each.point in ids)
    ]
    try:
        _remove(repository, snapshots, unneeded)
    except DiskFullError:
        repository.release_reserve()
        _remove(repository, repository.snapshots(), unneeded, without_space=True)
    repository.reserve()
    return len(points) - len(keep), len(unneeded)


def _remove(
    repository: Repository, existing: Sequence[Snapshot], unneeded: Sequence[str], *, without_space: bool = False
) -> None:
    # Points go first: an interrupted run then leaves no point that lacks a part.
    found = [each for each in existing if each.id in unneeded]
    repository.forget([each.id for each in found if each.part == "point"])
    repository.forget([each.id for each in found if each.part != "point"])
    repository.prune(without_space=without_space)
