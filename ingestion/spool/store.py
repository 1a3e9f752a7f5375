"""Queue events on this host's disk, in one size-limited SQLite file per source, which all its processes share.

When `append` returns, its events have been synced to the disk and survive SIGKILL and a power cut. If events cannot be
stored, `append` raises an error. Events are never dropped silently. Events are deleted after the broker has
acknowledged them. If a process dies in between, the event is sent again with the same id, which is counted only once.
"""

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock, Timeout

from ingestion.contract_validation import EncodedEvent
from ingestion.producer import MAX_MESSAGE_BYTES
from ingestion.spool.disk_priority import reserved_bytes
from ingestion.spool.sqlite_errors import SpoolFullError, explained
from lakehouse.errors import ContractViolation, RetryableError
from lakehouse.settings import Settings
from lakehouse.warehouse import read_sql

PACKAGE = "ingestion.spool"
SUFFIX = ".spool"
BUSY_SECONDS = 5.0  # how long to wait for another process's transaction
LOCK_POLL_SECONDS = 0.02
WAL_PAGES = 256  # of 4 KB each; with SQLite's default limit of 4 MB, the write-ahead log would fill a disk sooner
EventStatus = Literal["waiting", "rejected", "sent"]


@dataclass(frozen=True)
class Limits:
    """The limits of a spool. A busy API spools about 100,000 events if the broker is down for a day."""

    events: int = 200_000
    bytes: int = 268_435_456


class SpooledEvent(NamedTuple):
    """An event in the spool. Positions increase in the order of appending and are never reused."""

    position: int
    topic: str
    key: bytes | None
    value: bytes


@dataclass(frozen=True)
class SpoolState:
    """The state of a spool: numbers of waiting and rejected events, bytes, age of the oldest event, and fill ratio."""

    waiting: int
    rejected: int
    bytes: int
    oldest_seconds: float
    fill_ratio: float


class Spool:
    """The spool of one source. It is opened on first use. Threads and processes can use it concurrently."""

    def __init__(self, folder: Path, source: str, limits: Limits | None = None, *, leave_free: int = 0) -> None:
        """Use the file of a source. `append` fails if fewer than `leave_free` bytes of disk space would remain free."""
        self.source = source
        self._leave_free = leave_free
        self.path = folder / f"{source}{SUFFIX}"
        self._limits = limits or Limits()
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    @classmethod
    def of(cls, settings: Settings, source: str) -> "Spool":
        """Return the spool of a source in the state folder, with the limits from the settings."""
        limits = Limits(settings.spool_events, settings.spool_bytes)
        return cls(settings.spool_dir, source, limits, leave_free=reserved_bytes(settings, source))

    def append(self, events: Sequence[EncodedEvent]) -> list[int]:
        """Store all events or none, and return their positions. On return, the events have been synced to the disk.

        Raises:
            SpoolFullError: the spool has reached a limit, or its disk is full.
            ContractViolation: an event is larger than the broker accepts.
            RetryableError: another process has kept the spool locked for too long.
            PermanentError: the spool's file cannot be used.
        """
        sizes = [_size(event) for event in events]
        with self._transaction() as connection:
            self._check_limits(connection, len(events), sum(sizes))
            now = time.time()
            rows = ({"topic": each.topic, "key": each.key, "value": each.value, "spooled_at": now} for each in events)
            return [int(connection.execute(_sql("insert_event"), row).lastrowid or 0) for row in rows]

    def oldest(self, limit: int, without: Collection[int] = ()) -> list[SpooledEvent]:
        """Return up to `limit` waiting events in order, except those at the positions `without`."""
        with self._reading() as connection:
            rows = connection.execute(_sql("select_waiting"), {"events": limit, "without": json.dumps(list(without))})
            return [SpooledEvent(*row) for row in rows]

    def settle(self, delivered: Sequence[int], rejected: Mapping[int, str]) -> None:
        """Delete delivered events, and mark permanently rejected ones with the reason."""
        with self._transaction() as connection:
            connection.executemany(_sql("delete_event"), [{"position": each} for each in delivered])
            reasons = [{"position": position, "reason": reason} for position, reason in rejected.items()]
            connection.executemany(_sql("mark_rejected"), reasons)
        self._free_disk_space()

    def event_status(self, position: int) -> EventStatus:
        """Return the status of an event: waiting, permanently rejected by the broker, or sent."""
        with self._reading() as connection:
            row = connection.execute(_sql("select_event_status"), {"position": position}).fetchone()
        if row is None:
            return "sent"
        return "waiting" if row[0] is None else "rejected"

    def rejected(self, limit: int = 100) -> list[tuple[SpooledEvent, str]]:
        """Return up to `limit` permanently rejected events with their reasons."""
        with self._reading() as connection:
            rows = connection.execute(_sql("select_rejected"), {"events": limit})
            return [(SpooledEvent(*row[:4]), row[4]) for row in rows]

    def requeue_rejected(self) -> int:
        """Put rejected events back into the queue at their old positions, and return their number."""
        with self._transaction() as connection:
            return connection.execute(_sql("requeue_rejected")).rowcount

    def state(self) -> SpoolState:
        """Return the state of the spool. This does not create the file of a spool that was never opened."""
        if not self.path.exists():
            return SpoolState(0, 0, 0, 0.0, 0.0)
        with self._reading() as connection:
            return read_state(connection, self._limits)

    @contextmanager
    def draining(self, limit_seconds: float) -> Iterator[bool]:
        """Lock the spool for sending. Yield False if another process still has the lock after `limit_seconds`.

        Without the lock, two senders could send events with the same key out of order. The kernel releases the lock if
        the process dies.
        """
        self._create_folder()
        with explained(self.path), _lock_within(self.path.with_suffix(".lock"), limit_seconds) as is_held:
            yield is_held

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _check_limits(self, connection: sqlite3.Connection, events: int, size: int) -> None:
        total_events, total_bytes = connection.execute(_sql("select_totals")).fetchone()
        limits = self._limits
        if total_events + events > limits.events or total_bytes + size > limits.bytes:
            raise SpoolFullError(
                f"The spool {self.path} is full: it has {total_events} events of {total_bytes} bytes; its limits are "
                f"{limits.events} events and {limits.bytes} bytes. {events} more events were not stored. Check the "
                "broker (`make status`); `okr produce spool status` shows the waiting events."
            )
        if self._leave_free and shutil.disk_usage(self.path.parent).free - size < self._leave_free:
            raise SpoolFullError(
                f"The disk of the spool {self.path} would have less than {self._leave_free} bytes free. These are "
                f"reserved for user events, so {events} events of the source {self.source} were not stored. Free "
                "disk space."
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction. At the end, it is synced to the disk or rolled back."""
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite has already rolled back after some errors, e.g. a full disk
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, explained(self.path):
            if self._connection is None:
                self._connection = self._open()
            yield self._connection

    def _open(self) -> sqlite3.Connection:
        self._create_folder()
        # If two processes switch a new file to write-ahead logging concurrently, SQLite raises a lock error despite the
        # timeout.
        with _lock_within(self.path.with_suffix(".opening"), BUSY_SECONDS) as is_held:
            if not is_held:
                raise RetryableError(
                    f"Another process has been opening the spool {self.path} for {BUSY_SECONDS:.0f} s. Try again."
                )
            self._create_file()
            connection = sqlite3.connect(self.path, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    @staticmethod
    def _prepare(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA secure_delete = ON")  # delivered events, which may contain personal data, are erased
        connection.execute("PRAGMA temp_store = MEMORY")  # queries must work while the disk is full
        connection.execute("PRAGMA synchronous = FULL")  # NORMAL would lose the last commits in a power cut
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        connection.executescript(_sql("create_tables"))

    def _create_folder(self) -> None:
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _create_file(self) -> None:
        with explained(self.path):
            self.path.touch(0o600)  # only its owner reads the events; SQLite gives its other files the same mode
            self.path.chmod(0o600)  # also if an earlier release created it

    def _free_disk_space(self) -> None:
        """Return disk space to the file system when the spool is empty again after a broker outage."""
        with self._reading() as connection:
            is_empty = connection.execute(_sql("select_totals")).fetchone()[0] == 0
            if is_empty and connection.execute("PRAGMA freelist_count").fetchone()[0] > WAL_PAGES:
                connection.executescript("PRAGMA incremental_vacuum")  # `execute` would free only one page
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def read_state(connection: sqlite3.Connection, limits: Limits) -> SpoolState:
    """Return the state of an open spool."""
    events, size, rejected, oldest_at = connection.execute(_sql("select_state")).fetchone()
    age = 0.0 if oldest_at is None else max(0.0, time.time() - oldest_at)
    fill_ratio = max(events / limits.events, size / limits.bytes)
    return SpoolState(events - rejected, rejected, size, age, fill_ratio)


def spooled_sources(folder: Path) -> list[str]:
    """Return the names of the sources that have a spool."""
    return sorted(path.stem for path in folder.glob(f"*{SUFFIX}"))


def _sql(name: str) -> str:
    return read_sql(PACKAGE, name)


def _size(event: EncodedEvent) -> int:
    size = len(event.key or b"") + len(event.value)
    if size > MAX_MESSAGE_BYTES:
        raise ContractViolation(
            "too_large",
            f"A message to {event.topic} has {size} bytes (key and value); the broker accepts at most "
            f"{MAX_MESSAGE_BYTES}. It was not stored; shorten it.",
        )
    return size


@contextmanager
def _lock_within(file: Path, limit_seconds: float) -> Iterator[bool]:
    """Lock a file, or yield False if that takes too long. The kernel releases the lock if the process dies."""
    lock = FileLock(file, timeout=limit_seconds, poll_interval=LOCK_POLL_SECONDS, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
