"""`okr restore`: bring PostgreSQL, the lake, Kafka, models and settings back to one moment, at which they agree.

1. Choose the recovery point: the newest, or the first one at or after the time that was asked for.
2. Recover PostgreSQL beside the platform, to the point's mark or to the time. Destroy keys again that were destroyed
   since then (ADR 34).
3. Move the lake to the last version before the time that is not behind PostgreSQL. Consumers continue there.
4. If Kafka was lost, create its partitions, empty, so that they continue at the lake's offsets.
5. Put everything in place.
"""

import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from infra.backup import catch_up, kafka, lake, restored_postgres, swap
from infra.backup.lake import TableVersion
from infra.backup.new_repository import own_settings
from infra.backup.places import Places
from infra.backup.plan import Plan
from infra.backup.repository import Repository
from infra.backup.restored_postgres import Recovered
from infra.backup.run import LIFE
from infra.local.base_service import STACK_ID
from infra.local.env_file import write_env_file
from infra.local.generated_secrets import SECRETS, new_secret
from lakehouse.errors import PermanentError
from lakehouse.settings import STACK_ENV

Say = Callable[[str], None]
Offsets = dict[str, dict[int, int]]


@dataclass
class Restore:
    """One restore of the parts of a plan into a target folder, which has the layout of a state folder."""

    repository: Repository
    plan: Plan
    places: Places
    say: Say
    in_place: dict[Path, Path] = field(default_factory=dict)
    tables: dict[str, TableVersion] = field(default_factory=dict)

    def run(self) -> list[str]:
        """Restore the parts, and return what the operator must do or know.

        Raises:
            PermanentError: the parts cannot be brought to agree; nothing was changed.
            RetryableError: the repository cannot be read, or the disk is full; nothing was changed.
        """
        staging = swap.prepare(self.places.state)
        recovered = self._postgres(staging)
        self._lake(staging, recovered)
        self._catch_up(staging, recovered)
        remarks = self._kafka(staging, recovered)
        self._models(staging)
        self._settings(staging)
        swap.put_in_place(self.places.state, self.in_place)
        if "postgres" in self.plan.parts:
            (self.places.work / LIFE).unlink(missing_ok=True)  # the next backup begins a new life
            remarks.append("Run `okr backup run` once the stack is up: the restored PostgreSQL has no base backup yet.")
        if recovered and recovered.destroyed_again:
            remarks.append(f"{recovered.destroyed_again} keys of erased persons were destroyed again.")
        return remarks

    def _postgres(self, staging: Path) -> Recovered | None:
        point, data = self.plan.point, self.places.state / "postgres" / "data"
        if "postgres" in self.plan.parts:
            self.say("Recovering PostgreSQL ...")
            recovered = restored_postgres.restore(
                self.repository, point, self.plan.base, self.plan.moment, staging / "postgres", self.places.state,
                self.plan.destroyed,
            )  # fmt: skip
            self.in_place[staging / "postgres" / "data"] = data
            return recovered
        if "kafka" in self.plan.parts and (data / "PG_VERSION").is_file():
            return restored_postgres.positions_of(data, point, self.places.state)
        return None

    def _lake(self, staging: Path, recovered: Recovered | None) -> None:
        if "lake" not in self.plan.parts:
            self.tables = lake.current_versions(self.places.lake) if Path(self.places.lake).is_dir() else {}
            return
        self.say("Restoring the lake ...")
        folder = self._restored_folder("lake", staging)
        for topic, newest in self.plan.point.cut.lake.items():
            version = self._version(str(folder), topic, newest, recovered)
            if version is None:
                shutil.rmtree(folder / topic)
                continue
            lake.truncate(str(folder), topic, version)
            self.tables[topic] = lake.version_of(str(folder), topic)
        self.in_place[folder] = Path(self.places.lake)

    def _version(self, uri: str, topic: str, newest: TableVersion, recovered: Recovered | None) -> int | None:
        """Return the version that fits PostgreSQL: the last one before the time, or a later one if it is behind."""
        if self.plan.moment is None:
            return newest.version
        version = lake.version_at(uri, topic, self.plan.moment)
        needed = recovered.loaded.get(topic, {}) if recovered else {}
        if "kafka" in self.plan.parts and recovered:
            # The state tables cannot read again what only the lake has, so the lake must have what they have.
            applied = recovered.applied.get(topic, {})
            needed = {each: max(needed.get(each, 0), applied.get(each, 0)) for each in {*needed, *applied}}
        if version is None:
            if not any(needed.values()):
                return None
            version = 0
        return lake.first_version_with(uri, topic, needed, version, newest.version)

    def _catch_up(self, staging: Path, recovered: Recovered | None) -> None:
        """Apply to the state tables what the lake has and a new, empty Kafka cannot send them."""
        if recovered is None or "kafka" not in self.plan.parts:
            return
        if not catch_up.is_needed(self.tables.get(catch_up.STATE_TOPIC), recovered):
            return
        restored = {place: path for path, place in self.in_place.items()}
        data, tables = self.places.state / "postgres" / "data", Path(self.places.lake)
        self.say("Bringing the state tables up to the lake ...")
        said = catch_up.apply_from_lake(
            restored.get(data, data), self.plan.point.postgres_major, restored.get(tables, tables), self.plan.settings
        )
        self.say(said)

    def _kafka(self, staging: Path, recovered: Recovered | None) -> list[str]:
        if "kafka" not in self.plan.parts:
            return []
        self.say("Restoring Kafka's definitions ...")
        folder = self._restored_folder("kafka", staging)
        starts, lost = _starts(self.tables, recovered.applied if recovered else {})
        kafka.create_empty_partitions(folder, self.tables, starts)
        self.in_place[folder] = self.places.kafka
        formatted = staging / "formatted"
        formatted.touch()
        self.in_place[formatted] = self.places.kafka.parent / "formatted"
        remarks = ["Kafka's messages are not restored. Everything that had landed is in the lake."]
        if lost:
            remarks.append(
                f"{lost} events had not landed, but the state tables have them. Run `okr lake accept-loss --yes` once "
                "the stack is up, and let the sources send them again."
            )
        return remarks

    def _models(self, staging: Path) -> None:
        if "models" in self.plan.parts and "models" in self.plan.point.snapshots:
            self.say("Restoring models ...")
            self.in_place[self._restored_folder("models", staging)] = self.places.models

    def _settings(self, staging: Path) -> None:
        if "settings" not in self.plan.parts:
            return
        text = self.repository.read(self.plan.point.snapshots["settings"], "/settings.env").decode()
        values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        if self.plan.is_copy:  # `okr down` ends all processes with the same id
            values[STACK_ID] = new_secret(SECRETS[STACK_ID])
        path = staging / STACK_ENV
        write_env_file(path, values | own_settings(self.plan.settings))
        self.in_place[path] = self.places.state / STACK_ENV

    def _restored_folder(self, part: str, staging: Path) -> Path:
        """Restore a part, and return the folder that was saved."""
        target = staging / part
        self.repository.restore(self.plan.point.snapshots[part], target)
        folder = target / self.plan.point.roots[part].lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # restic does not know the modes of the folders above the files
        return folder


def _starts(tables: Mapping[str, TableVersion], applied: Offsets) -> tuple[Offsets, int]:
    """Return the first offset of each partition of a new Kafka, and how many events only the state tables have."""
    starts: Offsets = {}
    lost = 0
    for topic, table in tables.items():
        starts[topic] = dict(table.positions)
        for partition, offset in applied.get(topic, {}).items():
            landed = starts[topic].get(partition, 0)
            lost += max(offset - landed, 0)
            starts[topic][partition] = max(landed, offset)
    return starts, lost


def require_stopped(state: Path) -> None:
    """Check that no process of the platform runs on a state folder.

    Raises:
        PermanentError: the platform is running.
    """
    from infra.local.postgres import server_process
    from infra.local.stack import open_stack_to_stop
    from infra.local.supervisor import Supervisor

    stack = open_stack_to_stop(state)
    is_supervised = stack is not None and Supervisor(stack).is_running()
    if is_supervised or _processes_in(state) or server_process(state / "postgres" / "data") is not None:
        raise PermanentError(
            f"The platform is running on {state}. A restore replaces its files: stop it with `okr down` first, or "
            "restore beside it with --to <folder>. Nothing was changed."
        )


def _processes_in(state: Path) -> list[int]:
    """Return the processes whose working folder is in the state folder, such as a broker without its supervisor."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(state.resolve() / "run"):
                found.append(process.pid)
    return found
