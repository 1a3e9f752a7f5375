"""`okr backup run`: store the parts, in the order in which one may refer to another, and then the recovery point.

1. A base backup of PostgreSQL, if this run includes one. It takes longest, so it comes before the mark.
2. The mark at which PostgreSQL and the lake agree (`cut`), and PostgreSQL's log up to it.
3. What PostgreSQL refers to: the lake's files of that version, and MLflow's artifacts, which are written before
   their rows.
4. The recovery point. A run that ends before this leaves snapshots that nothing refers to; `okr backup prune` removes
   them.
"""

import json
import secrets
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from infra.backup import kafka, lake, point, postgres
from infra.backup.cut import make_cut
from infra.backup.metrics import Metrics
from infra.backup.places import Places
from infra.backup.point import PARTS, Base, Cut, Point, points_of
from infra.backup.repository import Repository, Saved
from infra.backup.repository_errors import VanishedError
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTEMPTS = 3  # for files that vacuum or log cleanup deletes while they are saved
LIFE = "life.json"
CHECK = "check.lock"
Say = Callable[[str], None]


@contextmanager
def exclusive(state: Path, wait_minutes: int = 0, name: str = "lock") -> "Iterator[None]":
    """Let one `okr backup` or `okr restore` at a time work on a state folder; the lock ends with its process.

    Checks have a lock of their own (`CHECK`), because backups go on while a repository is read.

    Raises:
        PermanentError: another one is running, and did not end within `wait_minutes`.
    """
    folder = state / "backup"
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / name, timeout=wait_minutes * 60, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise PermanentError(
            f"Another `okr backup` or `okr restore` is running on {state}. Wait until it ends, or give the command "
            "time to wait (--wait <minutes>). Nothing was done."
        ) from None
    try:
        yield
    finally:
        lock.release()


def run(settings: Settings, parts: Collection[str], say: Say, wait_minutes: int = 0) -> Point:
    """Store the parts and make a recovery point.

    Raises:
        RetryableError: a part could not be stored; earlier recovery points are as they were.
        PermanentError: the settings or the repository do not allow a backup.
    """
    state = settings.state.absolute()
    with exclusive(state, wait_minutes):
        metrics = Metrics.of(settings)
        backup = Backup(settings, frozenset(parts), say, metrics)
        try:
            return backup.run()
        except BaseException:
            metrics.failed(backup.part)
            raise
        finally:
            metrics.write()


@dataclass
class Backup:
    """One run. `part` is the part that is being stored, which the metrics name if the run fails."""

    settings: Settings
    parts: frozenset[str]
    say: Say
    metrics: Metrics
    part: str = "postgres"
    snapshots: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.id = secrets.token_hex(4)
        self.places = Places.of(self.settings)
        self.dsn = self.settings.require("dsn_backup")
        self.repository = open_repository(self.settings)

    def run(self) -> Point:
        """Store the parts."""
        self.repository.unlock()
        points = points_of(self.repository)
        server = postgres.inspect(self.dsn)
        before = next((each for each in reversed(points) if each.system_id == server.system_id), None)
        if before is None and "postgres" not in self.parts:
            raise PermanentError(
                "There is no base backup of this PostgreSQL cluster yet. Run `okr backup run` with all parts first."
            )
        life = self._life(server)
        before_in_life = before if before and before.life == life else None
        if before_in_life is None and "postgres" not in self.parts:
            self.say("PostgreSQL was restored, or has lost log that was not stored, so this run makes a base backup.")
            self.parts |= {"postgres"}
        if before_in_life is None:
            life = self._begin(server)
        base = before_in_life.base if before_in_life and "postgres" not in self.parts else self._base(server)
        cut = self._cut(server, before_in_life.base if before_in_life else base)
        earlier = dict(before.snapshots) if before else {}
        if not self._files(cut):
            earlier.pop("kafka", None)
        made = Point(
            id=self.id, number=max((each.number for each in points), default=0) + 1,
            created_at=datetime.now(UTC).isoformat(), is_full="postgres" in self.parts,
            version=version("okr-lakehouse"),
            password_digest=self.places.password_digest(), postgres_major=server.major,
            system_id=server.system_id, life=life, base=base, cut=cut,
            snapshots={**earlier, **self.snapshots},
            roots={"lake": self.places.lake, "models": str(self.places.models), "kafka": str(self.places.kafka),
                   "wal": str(self.places.wal)},
            sizes={**(before.sizes if before else {}), **self.sizes},
        )  # fmt: skip
        self.repository.save_text(made.to_json(), point.FILE, point.PART, self.id)
        self._forget_unneeded_wal(made)
        return made

    def _life(self, server: postgres.Server) -> str:
        """Return the id of the cluster's life, or "" if it begins with this run.

        A restore begins a new life, so lives never share names of log files. Two restores from one backup have the same
        system id and timeline, but neither has the slot, which no base backup contains. A cluster whose slot is gone
        or has lost a part of the log cannot be recovered across the gap, so it begins a new life, too.
        """
        path = self.places.work / LIFE
        if path.is_file():
            stored = json.loads(path.read_text(encoding="utf-8"))
            same = (stored.get("system_id"), stored.get("timeline")) == (server.system_id, server.timeline)
            if same and postgres.has_slot(self.dsn):
                return str(stored["life"])
        return ""

    def _begin(self, server: postgres.Server) -> str:
        """Begin a life and return its id: with a new slot, and without received log of another one.

        It also begins with a new repository, whose log no earlier one has. So the earlier one begins another if it is
        used again.
        """
        life = secrets.token_hex(4)
        postgres.create_slot(self.dsn)
        shutil.rmtree(self.places.wal, ignore_errors=True)
        identity = {"system_id": server.system_id, "timeline": server.timeline}
        (self.places.work / LIFE).write_text(json.dumps({**identity, "life": life}), encoding="utf-8")
        return life

    def _base(self, server: postgres.Server) -> Base:
        self.part = "postgres"
        saved, first_segment = postgres.save_base(self.repository, self.dsn, server, self.places.state, self.id)
        self._stored(saved)
        return Base(saved.snapshot, first_segment, datetime.now(UTC).isoformat())

    def _cut(self, server: postgres.Server, oldest: Base) -> Cut:
        """Make the cut, and store PostgreSQL's log from the start of the previous base backup on."""
        self.part = "lake"
        lake.require_folder(self.places.lake)
        cut = make_cut(self.dsn, self.places.lake, f"okr-{self.id}")
        self.part = "wal"
        postgres.receive_wal(self.dsn, server, self.places.wal, self.places.state)
        self._stored(
            self.repository.save_files(postgres.segments(self.places.wal, oldest.first_segment), "wal", self.id)
        )
        return cut

    def _files(self, cut: Cut) -> bool:
        """Store the parts that are files; return whether Kafka's definitions fit the lake, as far as they were read."""
        is_usable = True
        for part, files in (
            ("lake", lambda: lake.files_of(self.places.lake, cut.lake)),
            ("models", self.places.model_files),
            ("kafka", self.places.kafka_files),
        ):
            if part in self.parts:
                self.part = part
                if part == "kafka" and not self._has_definitions_of(cut):
                    is_usable = False
                    continue
                self._save_files(files)
        if "settings" in self.parts:
            self.part = "settings"
            self._stored(self.repository.save_text(self.places.settings_text(), "settings.env", self.part, self.id))
        return is_usable

    def _has_definitions_of(self, cut: Cut) -> bool:
        """Return whether Kafka's definitions fit the lake. If not, the other parts are stored all the same."""
        foreign = kafka.foreign_tables(self.places.kafka, cut.lake)
        if foreign:
            self.metrics.failed(self.part)
            self.say(
                f"  kafka     NOT STORED: the definitions in {self.places.kafka} lack the topics of "
                f"{', '.join(foreign)} in the lake, so a lost Kafka could not be continued. If they are a copy, "
                "make it again (docs/backup.md#kafka-on-servers)."
            )
        return not foreign

    def _save_files(self, files: Callable[[], Sequence[Path]]) -> None:
        """Save the files of a part. If one was deleted meanwhile, list them again: the part no longer needs it."""
        for attempt in range(ATTEMPTS):
            found = files()
            if not found:
                self.say(f"  {self.part:<9} nothing to store")
                return
            try:
                saved = self.repository.save_files(found, self.part, self.id)
            except VanishedError:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                self._stored(saved)
                return

    def _stored(self, saved: Saved) -> None:
        self.snapshots[self.part], self.sizes[self.part] = saved.snapshot, saved.size_bytes
        self.metrics.succeeded(self.part, saved.size_bytes)
        self.say(f"  {self.part:<9} {saved.size_bytes / 1e6:9,.1f} MB, {saved.added_bytes / 1e6:9,.1f} MB of it new")

    def _forget_unneeded_wal(self, made: Point) -> None:
        """Remove received segments that only restores to times before this base backup need: they are stored now."""
        for path in postgres.segments(self.places.wal):
            if path.name[8:] < made.base.first_segment[8:]:
                path.unlink()


def wanted_parts(settings: Settings, chosen: Collection[str] | None) -> frozenset[str]:
    """Return the parts to store: the chosen ones or all, and always the log and the lake, which a point consists of.

    All parts are without `kafka` on a host that has neither a broker nor a copy of its definitions.

    Raises:
        PermanentError: a part is unknown.
    """
    if unknown := set(chosen or ()) - set(PARTS):
        raise PermanentError(f"There is no part {', '.join(sorted(unknown))}. Expected {', '.join(PARTS)}.")
    if chosen:
        return frozenset(chosen) | {"wal", "lake"}
    has_kafka = settings.backup_kafka_data or kafka.is_broker(Places.of(settings).kafka)
    return frozenset(PARTS) - (set() if has_kafka else {"kafka"})


def open_repository(settings: Settings) -> Repository:
    """Return the repository of the settings.

    Raises:
        PermanentError: the settings name none.
    """
    if not settings.backup_repository or not settings.backup_password.get_secret_value():
        raise PermanentError(
            "There is no repository of backups: OKR_BACKUP_REPOSITORY or OKR_BACKUP_PASSWORD is empty. In the local "
            "stack, `okr backup init --repository <folder on another disk>` creates one."
        )
    return Repository(
        settings.backup_repository, settings.backup_password.get_secret_value(), settings.state.absolute()
    )
