"""The command `okr restore`: check what can be checked before anything is read, then restore."""

from collections.abc import Callable, Collection
from pathlib import Path

from infra.backup import plan
from infra.backup.places import Places
from infra.backup.plan import Plan
from infra.backup.point import points_of
from infra.backup.restore import Restore, require_stopped
from infra.backup.run import exclusive, open_repository
from infra.backup.swap import REPLACED
from infra.local.state_lock import locked
from lakehouse.settings import Settings

Say = Callable[[str], None]


def restore(settings: Settings, at: str, wanted: Collection[str], to: Path | None, say: Say) -> list[str]:
    """Restore parts to a time, or to the newest recovery point, and return what the operator must know.

    Raises:
        PermanentError: the platform is running, or the time or the parts cannot be restored; nothing was changed.
        RetryableError: the repository cannot be read, or the disk is full; nothing was changed.
    """
    state = (to or settings.state).absolute()
    target = Places.of(settings) if to is None else Places.of(settings.model_copy(update={
        "state": state, "lake_uri": str(state / "lake"), "mlflow_artifacts": str(state / "mlflow"),
        "backup_kafka_data": str(state / "kafka" / "data"),
    }))  # fmt: skip
    repository = open_repository(settings)
    with exclusive(state), locked(state):
        require_stopped(state)
        moment = plan.parse_time(at) if at else None
        points = points_of(repository)
        point, base, moment = plan.choose(points, moment)
        parts = plan.parts_of(point, wanted, target)
        plan.require_same_version(point, parts, target)
        say(f"Restoring {', '.join(sorted(parts))} to {moment or point.cut.at} (recovery point {point.id}) in {state}.")
        destroyed = points[-1].cut.destroyed
        remarks = Restore(
            repository,
            Plan(point, base, moment, parts, destroyed, settings.model_copy(update={"state": state}), to is not None),
            target,
            say,
        ).run()
    if (state / REPLACED).exists():
        remarks.append(f"What was replaced is in {state / REPLACED}; delete it when everything works.")
    return [*remarks, "Restored."]
