"""Send the recorded predictions to Kafka and delete the segments that have been sent.

One process per host sends: the one that holds a lock, which the kernel releases when the process dies. It sends the
segments of all workers, including dead ones. If it dies between the broker's acknowledgement and the mark in the
segment, some events are sent again with the same ids; staging counts each event id once.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ingestion.bulk_producer import BulkProducer
from lakehouse.background import BackgroundThread
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.logs import get_logger
from lakehouse.retry import Backoff
from lakehouse.settings import Settings
from serving.prediction_log.log import TOPIC
from serving.prediction_log.segment_file import SUFFIX
from serving.prediction_log.segment_reader import SegmentReader
from serving.prediction_log.shipper_mark import mark_all_shipped

PASS_EVERY_S = 0.1
SEND_S = 5.0
LONGEST_PAUSE_S = 15.0
UNFINISHED_S = 60.0
THREAD = "prediction-shipper"
REJECTED = "rejected.jsonl"

log = get_logger(__name__)


class Shipper:
    """Sends the predictions of all workers of this host while no other process does."""

    def __init__(self, folder: Path, kafka: KafkaConnection, state: Path | None = None) -> None:
        self._folder = folder
        self._producer = BulkProducer(kafka, TOPIC, "okr-predictions")
        self._readers: dict[Path, SegmentReader] = {}
        self.problem: str | None = None
        """Why the last attempt to send failed; None if it succeeded."""
        self._stopping = threading.Event()
        self.thread = BackgroundThread(THREAD, self._run, self._stopping, state=state)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Shipper":
        """Return the shipper of the log in the state folder.

        Raises:
            PermanentError: a setting is missing.
        """
        return cls(settings.prediction_log_dir, KafkaConnection.of(settings), settings.state)

    def start(self) -> None:
        """Start the thread. It first sends what earlier processes left behind."""
        self.thread.start()

    def stop(self) -> None:
        """Send once more, then stop. Stop the workers' logs first. Unsent predictions stay until the next start."""
        self._stopping.set()
        self.thread.join(2 * SEND_S)

    def ship(self) -> bool:
        """Send one chunk of each segment, and return whether more is waiting.

        Raises:
            RetryableError: the broker did not accept everything; the next call sends it again.
        """
        has_more = False
        self._delete_unfinished()
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            reader = self._reader(path)
            if reader is not None:
                has_more |= self._ship_chunk(reader)
        return has_more

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._as_only_shipper() as is_only_shipper:
                if is_only_shipper:
                    self._ship_until_stopped()
            self.thread.report_success()
            self._stopping.wait(1.0)

    def _ship_until_stopped(self) -> None:
        try:
            backoff = Backoff(PASS_EVERY_S, LONGEST_PAUSE_S)
            while not self._stopping.is_set():
                pause_s = self._ship_or_pause(backoff)
                self.thread.report_success()
                self._stopping.wait(pause_s)
            # Send what was appended before the stop.
            while self.problem is None and self._ship_or_pause(backoff) == 0.0:
                pass
        finally:
            self._producer.close()
            for reader in self._readers.values():
                reader.close()
            self._readers.clear()

    def _ship_or_pause(self, backoff: Backoff) -> float:
        """Send a chunk of each segment, and return the number of seconds to wait before the next call."""
        try:
            has_more = self.ship()
        except RetryableError as error:
            if self.problem is None:
                log.warning("predictions wait on disk", error=str(error))
            self.problem = str(error)
            return backoff.pause()
        if self.problem is not None:
            log.info("predictions are sent again")
        self.problem = None
        backoff.reset()
        if not has_more:
            mark_all_shipped(self._folder)
        return 0.0 if has_more else PASS_EVERY_S

    def _reader(self, path: Path) -> SegmentReader | None:
        if path not in self._readers:
            try:
                self._readers[path] = SegmentReader(path)
            except FileNotFoundError:
                return None
            except PermanentError as error:
                self._rename_damaged(path, error)
                return None
        return self._readers[path]

    def _ship_chunk(self, reader: SegmentReader) -> bool:
        is_abandoned = reader.is_abandoned()  # checked before the read, so that the read sees everything
        try:
            messages, position = reader.read()
        except PermanentError as error:
            self._forget(reader).close()
            self._rename_damaged(reader.path, error)
            return False
        if messages:
            for message, reason in self._producer.send(messages, SEND_S):
                self._reject(message.key, message.value, reason)
        is_at_end = position == reader.shipped
        reader.mark_shipped(position)
        if is_at_end and is_abandoned:
            if reader.has_incomplete_frame():
                log.warning("a segment ends with an incomplete record, which was not served", segment=reader.path.name)
            self._forget(reader).delete()
        return not is_at_end

    def _delete_unfinished(self) -> None:
        for path in self._folder.glob("*.new"):  # its worker died before it appended anything
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > UNFINISHED_S:
                    path.unlink()

    def _forget(self, reader: SegmentReader) -> SegmentReader:
        return self._readers.pop(reader.path)

    def _rename_damaged(self, path: Path, error: PermanentError) -> None:
        log.error("a segment of the prediction log is damaged and was renamed", segment=path.name, error=str(error))
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(".damaged"))

    def _reject(self, key: bytes, value: bytes, reason: str) -> None:
        log.error("the broker permanently rejected a prediction", key=key.decode(), why=reason)
        with (self._folder / REJECTED).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"why": reason, "value": value.decode()}) + "\n")

    @contextmanager
    def _as_only_shipper(self) -> Iterator[bool]:
        """Yield True while this is the only shipper of the folder, or False if another process is already sending."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self._folder / "shipper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(lock)
