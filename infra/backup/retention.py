"""Which recovery points are kept: one rule for all parts (OKR_BACKUP_RETENTION_DAYS).

Kept are all points of the last days, and the last complete one before, from which the first of these days is restored.
Of points without a base backup, only those since the newest base backup are kept: its run has stored PostgreSQL's log
and the lake's versions since the one before.
"""

from collections.abc import Sequence
from datetime import timedelta

from infra.backup.point import Point
from infra.backup.repository import Repository

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

    Raises:
        RetryableError: the repository is in use or cannot be written. The command can be repeated.
    """
    keep = kept(points, days)
    ids = {each.id for each in keep}
    needed = {snapshot for each in keep for snapshot in (each.base.snapshot, *each.snapshots.values())}
    snapshots = repository.snapshots()
    unneeded = [
        each.id for each in snapshots if each.id not in needed and not (each.part == "point" and each.point in ids)
    ]
    # Points go first: an interrupted run then leaves no point that lacks a part.
    of_points = [each.id for each in snapshots if each.part == "point" and each.id in unneeded]
    repository.forget(of_points)
    repository.forget([each for each in unneeded if each not in of_points])
    repository.prune()
    return len(points) - len(keep), len(unneeded)
