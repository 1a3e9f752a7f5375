"""Append served and shadow predictions to this worker's segment. Appended predictions survive the end of the process.

Appending does not wait for the disk. A thread flushes every FLUSH_S seconds, so a power cut loses at most the
predictions of FLUSH_S plus the duration of one flush. The total size of the log of all workers of a host is limited,
and the log leaves disk space free for check-ins. When it is full, predictions are not served, because they could not be
evaluated later.
"""

import fcntl
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ingestion.contract_validation import EncodedEvent
from ingestion.producer import MAX_MESSAGE_BYTES
from ingestion.spool.disk_priority import TELEMETRY, reserved_bytes
from lakehouse.background import BackgroundThread
from lakehouse.errors import ContractViolation
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from serving.errors import NotPersisted
from serving.prediction_log.event_template import EventTemplate
from serving.prediction_log.segment_file import SUFFIX, event_frame, use_with_output_frame, uses_frame
from serving.prediction_log.segment_writer import SegmentWriter
from serving.prediction_log.shipper_mark import seconds_behind

TOPIC = "okr_ai_predictions"
FLUSH_S = 0.05
LARGEST_SEGMENT_BYTES = 8_388_608
SEGMENTS = 16  # minimum number of segments in a full log, so that several workers can share it
LOG_EVERY_S = 1.0  # otherwise, every request would write an error to this service's log while this log is full
FULL_FOR_S = 0.25  # how long a full log rejects predictions before it checks the disk again


@dataclass(frozen=True)
class LogLimits:
    """The maximum size of the log of all workers of a host, and the disk space that it leaves free, in bytes."""

    bytes: int
    leave_free: int = 0

    @property
    def segment_bytes(self) -> int:
        """The size of one segment."""
        return min(LARGEST_SEGMENT_BYTES, self.bytes // SEGMENTS)


@dataclass(frozen=True)
class LogState:
    """The size in bytes of the log of all workers, its share of the limit, and how long predictions have waited."""

    bytes: int
    fill_ratio: float
    seconds_behind: float


class PredictionLog:
    """Appends predictions of one worker. It is thread-safe. Start it before use, and stop it at the end."""

    def __init__(self, folder: Path, limits: LogLimits, state: Path | None = None) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter()
        """Predictions since the process started: posted, and not_persisted (not served)."""
        self._limits = limits
        self._writer: SegmentWriter | None = None
        self._retired: list[SegmentWriter] = []
        self._appending = threading.Lock()
        self._full_until = 0.0
        self._logged_at = float("-inf")
        self._stopping = threading.Event()
        self.thread = BackgroundThread("prediction-log", self._flush_until_stopped, self._stopping, state=state)

    @classmethod
    def from_settings(cls, settings: Settings) -> "PredictionLog":
        """Return the log in the state folder."""
        limits = LogLimits(settings.prediction_log_bytes, reserved_bytes(settings, TELEMETRY))
        return cls(settings.prediction_log_dir, limits, settings.state)

    def start(self) -> None:
        """Start the thread that flushes."""
        self.thread.start()

    def stop(self) -> None:
        """Flush, and leave the segments to the shipper."""
        self._stopping.set()
        self.thread.join(5)
        with self._appending:
            self._retire()
        self._flush()

    def state(self) -> LogState:
        """Return the state of the log of all workers of this host."""
        used, behind_s = _used_bytes(self.folder), seconds_behind(self.folder)
        return LogState(used, used / self._limits.bytes, behind_s)

    def append_from_templates(self, uses: Sequence[tuple[EventTemplate, bytes]], attributes: bytes = b"") -> None:
        """Append all predictions of one request, given as pairs of a template and an event's id, or none.

        `attributes` are the extension attributes of all these events (`attributes_text`).

        Raises:
            NotPersisted: nothing was written; the log says why.
        """
        self._append_framed(lambda writer: _uses(writer, uses, attributes), len(uses))

    def append_with_output(
        self, template: EventTemplate, event_id: bytes, *, output: bytes, reasons: bytes, attributes: bytes
    ) -> None:
        """Append one prediction with its output and reasons. The template is one of `template_of_features`.

        Raises:
            NotPersisted: nothing was written; the log says why.
        """

        def frame(writer: SegmentWriter) -> bytes:
            definition = writer.define(template)
            return definition + use_with_output_frame(writer.numbers[template], event_id, output, reasons, attributes)

        self._append_framed(frame, 1)

    def append(self, events: Sequence[EncodedEvent]) -> None:
        """Append all of these complete events, or none.

        Raises:
            NotPersisted: nothing was written; the log says why.
            ContractViolation: the broker would never accept one of the events.
        """
        if not events:
            return
        for event in events:
            _check_size(event)
        data = b"".join([event_frame(event.key, event.value) for event in events])
        with self._appending:
            try:
                writer = self._writer or self._open()
                if not writer.has_space(len(data)):
                    writer = self._open()
                self._append(writer, data)
            except OSError as error:
                raise self._not_persisted(len(events), error) from error
            self.counts["posted"] += len(events)

    def _append_framed(self, frame: Callable[[SegmentWriter], bytes], predictions: int) -> None:
        """Append frames, which may differ from segment to segment."""
        with self._appending:
            try:
                writer = self._writer or self._open()
                data = frame(writer)
                if not writer.has_space(len(data)):
                    writer = self._open()
                    data = frame(writer)
                self._append(writer, data)
            except OSError as error:
                raise self._not_persisted(predictions, error) from error
            self.counts["posted"] += predictions

    def _append(self, writer: SegmentWriter, data: bytes) -> None:
        if not writer.has_space(len(data)):
            self._retire()  # its writer has numbered templates that are not in the file
            raise OSError(f"one request's predictions ({len(data)} bytes) do not fit into a segment")
        try:
            writer.append(data)
        except OSError:
            self._retire()  # the file may end with an incomplete frame
            raise

    def _open(self) -> SegmentWriter:
        """Open the next segment.

        Raises:
            OSError: the log is full, its disk is full or not writable.
        """
        self._retire()  # even if the log is full: its writer may have numbered templates that are not in the file
        if time.monotonic() < self._full_until:
            raise OSError("the prediction log is full")
        try:
            with _locked(self.folder):
                _check_limits(self.folder, self._limits)
                self._writer = SegmentWriter(self.folder, self._limits.segment_bytes)
        except OSError:
            self._full_until = time.monotonic() + FULL_FOR_S
            raise
        return self._writer

    def _retire(self) -> None:
        if self._writer is not None:
            self._retired.append(self._writer)
            self._writer = None

    def _not_persisted(self, predictions: int, error: OSError) -> NotPersisted:
        self.counts["not_persisted"] += predictions
        if (now := time.monotonic()) - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now
            get_logger(__name__).error("predictions could not be recorded", number=predictions, error=str(error))
        return NotPersisted(
            "Too many predictions are waiting for the broker, or the disk is full or not writable; /health says which."
        )

    def _flush_until_stopped(self) -> None:
        while not self._stopping.wait(FLUSH_S):
            self._flush()
            self.thread.report_success()

    def _flush(self) -> None:
        with self._appending:
            writer, retired, self._retired = self._writer, self._retired, []
        for each in retired:
            each.close()
        if writer is not None and writer not in retired:
            writer.sync()


def _uses(writer: SegmentWriter, uses: Sequence[tuple[EventTemplate, bytes]], attributes: bytes) -> bytes:
    """Return the frame of a request, preceded by the definitions of templates that this segment does not have yet."""
    known = writer.numbers
    definitions = b"".join([writer.define(template) for template, _ in uses if template not in known])
    return definitions + uses_frame([(known[template], event_id) for template, event_id in uses], attributes)


def _check_size(event: EncodedEvent) -> None:
    if event.topic != TOPIC:
        raise ContractViolation(
            "wrong_topic", f"The prediction log accepts only events of {TOPIC}, not of {event.topic}."
        )
    if (size := len(event.key) + len(event.value)) > MAX_MESSAGE_BYTES:
        raise ContractViolation("too_large", f"An event has {size} bytes; at most {MAX_MESSAGE_BYTES} are accepted.")


def _used_bytes(folder: Path) -> int:
    total = 0
    for file in folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):  # the shipper deletes segments
            total += file.stat().st_blocks * 512
    return total


def _check_limits(folder: Path, limits: LogLimits) -> None:
    used = _used_bytes(folder)
    if used + limits.segment_bytes > limits.bytes:
        raise OSError(f"the prediction log {folder} has {used} bytes on disk; its limit is {limits.bytes}")
    free = shutil.disk_usage(folder).free
    if free - limits.segment_bytes < limits.leave_free:
        raise OSError(f"the disk of {folder} has {free} bytes free; {limits.leave_free} are reserved for check-ins")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one worker at a time check the limits and open a segment."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder / "opening.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
