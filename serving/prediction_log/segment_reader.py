"""Read one segment: the predictions that the broker has not acknowledged yet."""

import fcntl
import os
from pathlib import Path

from ingestion.bulk_producer import KeyedMessage
from lakehouse.errors import PermanentError
from serving.prediction_log.segment_file import DEFINES, HEADER, MAGIC, SHIPPED, SHIPPED_AT, FrameDecoder, frames

CHUNK_BYTES = 262_144
LARGEST_FRAME_BYTES = 2_097_152  # a complete event has up to 1 MB


class SegmentReader:
    """Reads a segment that another process may still be writing."""

    def __init__(self, path: Path) -> None:
        """Open a segment.

        Raises:
            FileNotFoundError: another process has deleted it.
            PermanentError: the file is not a segment that this release can read.
        """
        self.path = path
        self._decoder = FrameDecoder()
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self.shipped = self._shipped()
            self._read_templates()
        except BaseException:
            os.close(self._file)
            raise

    def read(self) -> tuple[list[KeyedMessage], int]:
        """Return the next messages, which take about CHUNK_BYTES of the file, and the position after them.

        Raises:
            PermanentError: the segment is damaged.
        """
        for length in (CHUNK_BYTES, LARGEST_FRAME_BYTES):
            messages: list[KeyedMessage] = []
            position = self.shipped
            for payload, end in frames(os.pread(self._file, length, self.shipped)):
                messages += self._decoder.of(payload)
                position = self.shipped + end
            if position > self.shipped or not any(os.pread(self._file, 4, self.shipped)):
                break
        return messages, position

    def mark_shipped(self, position: int) -> None:
        """Record that the broker has acknowledged everything before a position."""
        if position != self.shipped:
            os.pwrite(self._file, SHIPPED.pack(position), SHIPPED_AT)
            self.shipped = position

    def is_abandoned(self) -> bool:
        """Return whether the segment's writer has closed it or has died. It may have appended since the last `read`."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def has_incomplete_frame(self) -> bool:
        """Return whether an incomplete frame follows. Its request was not answered, or a power cut damaged it."""
        return any(os.pread(self._file, 4, self.shipped))

    def delete(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _shipped(self) -> int:
        data = os.pread(self._file, HEADER.size, 0)
        magic, shipped = HEADER.unpack(data.ljust(HEADER.size, b"\0"))
        if magic != MAGIC:
            raise PermanentError(f"{self.path} is not a segment of the prediction log: it starts with {magic!r}.")
        return int(shipped)

    def _read_templates(self) -> None:
        for payload, _ in frames(os.pread(self._file, self.shipped - HEADER.size, HEADER.size)):
            if payload.startswith(DEFINES):
                self._decoder.of(payload)
