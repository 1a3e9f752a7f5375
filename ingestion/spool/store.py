"""A bounded queue of events on this host's disk, one SQLite file a source, for any number of its processes.

An event that `append` returned for has been synced to the disk: it survives SIGKILL and a power cut. Whatever cannot be
kept is an error for the caller, never silence. Events leave it when the broker has acknowledged them; a process that
dies between the acknowledgement and the deletion sends the same event again, with the same id, which counts once.
"""

import fcntl
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

from ingestion.event_codec import EncodedEvent
from ingestion.producer import MAX_MESSAGE_BYTES
from ingestion.spool.disk_priority import reserved_bytes
from ingestion.spool.sqlite_errors import SpoolFullError, explained
from lakehouse.errors import ContractViolation, RetryableError
from lakehouse.settings import Settings
from lakehouse.warehouse import read_sql

PACKAGE = "ingestion.spool"
SUFFIX = ".spool"
BUSY_SECONDS = 5.0  # how long another process's transaction is waited for
LOCK_POLL_SECONDS = 0.02
WAL_PAGES = 256  # of 4 KB: how far the log beside the file grows; a full disk is met sooner with SQLite's 4 MB
EventStatus = Literal["waiting", "rejected", "sent"]


@dataclass(frozen=True)
class Limits:
    """What a spool holds at most. A day without a broker is about 100,000 events of a busy API."""

    events: int = 200_000
    bytes: int = 268_435_456


class SpooledEvent(NamedTuple):
    """An event in the spool. Positions grow in the order of the appends and are never given out twice."""

    position: int
    topic: str
    key: bytes | None
    value: bytes


@dataclass(frozen=True)
class SpoolState:
    """What a spool holds: events that wait or were rejected, their bytes, age of the oldest, and how full it is."""

    waiting: int
    rejected: int
    bytes: int
    oldest_seconds: float
    fill_ratio: float


class Spool:
    """One source's spool. Opened at its first use; may be used by several threads and processes at once."""

    def __init__(self, folder: Path, source: str, limits: Limits | None = None, *, leave_free: int = 0) -> None:
        """Use the file of a source; it keeps nothing that would leave less than `leave_free` bytes of the disk."""
        self.source = source
        self._leave_free = leave_free
        self.path = folder / f"{source}{SUFFIX}"
        self._limits = limits or Limits()
        self._connection: sqlite3.Connection | None = None
        self._using = threading.RLock()

    @classmethod
    def of(cls, settings: Settings, source: str) -> "Spool":
        """Return a source's spool under the state folder, bounded by the settings."""
        limits = Limits(settings.spool_events, settings.spool_bytes)
        return cls(settings.spool_dir, source, limits, leave_free=reserved_bytes(settings, source))

    def append(self, events: Sequence[EncodedEvent]) -> list[int]:
        """Keep events, all or none, and return their positions; they are on the disk when it returns.

        Raises:
            SpoolFullError: the spool has reached its bounds, or its disk is full.
            ContractViolation: an event is larger than the broker takes.
            RetryableError: another process holds the spool for too long.
            PermanentError: the spool's file cannot be used.
        """
        sizes = [_size(event) for event in events]
        with self._transaction() as connection:
            self._check_room(connection, len(events), sum(sizes))
            now = time.time()
            rows = ({"topic": each.topic, "key": each.key, "value": each.value, "spooled_at": now} for each in events)
            return [int(connection.execute(_sql("insert_event"), row).lastrowid or 0) for row in rows]

    def oldest(self, events: int, without: Collection[int] = ()) -> list[SpooledEvent]:
        """Return the events that wait, in order, at most so many, but none at the positions `without`."""
        with self._reading() as connection:
            rows = connection.execute(_sql("select_waiting"), {"events": events, "without": json.dumps(list(without))})
            return [SpooledEvent(*row) for row in rows]

    def settle(self, delivered: Sequence[int], rejected: Mapping[int, str]) -> None:
        """Delete what the broker has, and set aside what it will never take, with its reason."""
        with self._transaction() as connection:
            connection.executemany(_sql("delete_event"), [{"position": each} for each in delivered])
            reasons = [{"position": position, "reason": reason} for position, reason in rejected.items()]
            connection.executemany(_sql("mark_rejected"), reasons)
        self._give_back_space()

    def event_status(self, position: int) -> EventStatus:
        """Say what became of an event: it waits, the broker rejected it for good, or the broker has it."""
        with self._reading() as connection:
            row = connection.execute(_sql("select_event_status"), {"position": position}).fetchone()
        if row is None:
            return "sent"
        return "waiting" if row[0] is None else "rejected"

    def rejected(self, events: int = 100) -> list[tuple[SpooledEvent, str]]:
        """Return what the broker rejected for good, with its reasons."""
        with self._reading() as connection:
            rows = connection.execute(_sql("select_rejected"), {"events": events})
            return [(SpooledEvent(*row[:4]), row[4]) for row in rows]

    def requeue_rejected(self) -> int:
        """Let what was rejected wait again, at its old position; return how many."""
        with self._transaction() as connection:
            return connection.execute(_sql("requeue_rejected")).rowcount

    def state(self) -> SpoolState:
        """Return what the spool holds; a spool that nobody has opened yet is empty and is not made by asking."""
        if not self.path.exists():
            return SpoolState(0, 0, 0, 0.0, 0.0)
        with self._reading() as connection:
            events, size, rejected, oldest_at = connection.execute(_sql("select_state")).fetchone()
        age = 0.0 if oldest_at is None else max(0.0, time.time() - oldest_at)
        fill_ratio = max(events / self._limits.events, size / self._limits.bytes)
        return SpoolState(events - rejected, rejected, size, age, fill_ratio)

    @contextmanager
    def draining(self, limit_seconds: float) -> Iterator[bool]:
        """Be the one process that sends from this spool; False when another still is after `limit_seconds`.

        Two at once could send a later event of a key before an earlier one. The kernel lifts the lock of a process
        that dies.
        """
        self._folder_made()
        with explained(self.path), self.path.with_suffix(".lock").open("ab") as file:
            yield _locked_within(file.fileno(), limit_seconds)  # closing the file lifts the lock

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._using:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _check_room(self, connection: sqlite3.Connection, events: int, size: int) -> None:
        held_events, held_bytes = connection.execute(_sql("select_totals")).fetchone()
        limits = self._limits
        if held_events + events > limits.events or held_bytes + size > limits.bytes:
            raise SpoolFullError(
                f"The spool {self.path} is full: {held_events} events of {held_bytes} bytes wait there, and it takes "
                f"{limits.events} events and {limits.bytes} bytes. {events} more were not taken. Is the broker up "
                "(`make status`)? `okr produce spool status` shows what waits."
            )
        if self._leave_free and shutil.disk_usage(self.path.parent).free - size < self._leave_free:
            raise SpoolFullError(
                f"The disk of the spool {self.path} has less than {self._leave_free} bytes free, which are left to "
                f"what users say. {events} more events of the source {self.source} were not taken."
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that is synced to the disk at its end, or leaves nothing."""
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite itself rolls back after some errors, a full disk among them
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._using, explained(self.path):
            if self._connection is None:
                self._connection = self._open()
            yield self._connection

    def _open(self) -> sqlite3.Connection:
        self._folder_made()
        # Two processes that turn a new file into a write-ahead log at once would find it locked, whatever the timeout.
        with self.path.with_suffix(".opening").open("ab") as file:
            if not _locked_within(file.fileno(), BUSY_SECONDS):
                raise RetryableError(
                    f"Another process has been opening the spool {self.path} for {BUSY_SECONDS:.0f} s."
                )
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
        connection.execute("PRAGMA temp_store = MEMORY")  # what is asked while the disk is full needs no disk
        connection.execute("PRAGMA synchronous = FULL")  # NORMAL would lose the last commits in a power cut
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        connection.executescript(_sql("create_tables"))

    def _folder_made(self) -> None:
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _give_back_space(self) -> None:
        """Give the pages that a long absence of the broker has taken back to the disk, once it is over."""
        with self._reading() as connection:
            is_empty = connection.execute(_sql("select_totals")).fetchone()[0] == 0
            if is_empty and connection.execute("PRAGMA freelist_count").fetchone()[0] > WAL_PAGES:
                connection.executescript("PRAGMA incremental_vacuum")  # `execute` would free a single page
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def spooled_sources(folder: Path) -> list[str]:
    """Return the sources that have a spool, by name."""
    return sorted(path.stem for path in folder.glob(f"*{SUFFIX}"))


def _sql(name: str) -> str:
    return read_sql(PACKAGE, name)


def _size(event: EncodedEvent) -> int:
    size = len(event.key or b"") + len(event.value)
    if size > MAX_MESSAGE_BYTES:
        raise ContractViolation(
            "too_large",
            f"A message to {event.topic} has {size} bytes, key and value; the broker takes at most "
            f"{MAX_MESSAGE_BYTES}. It was not kept: shorten it at its source.",
        )
    return size


def _locked_within(descriptor: int, limit_seconds: float) -> bool:
    """Take a file's lock, which its process may hold for no longer than it lives; False when that takes too long."""
    deadline = time.monotonic() + limit_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return True
