"""Append frames to one segment file, which belongs to one worker until it is closed or the worker dies."""

import fcntl
import os
import uuid
from contextlib import suppress
from pathlib import Path

from serving.prediction_log.event_template import EventTemplate
from serving.prediction_log.segment_file import HEADER, MAGIC, SUFFIX, template_frame


class SegmentWriter:
    """Writes a segment. The kernel's lock on the file tells the shipper that its writer is alive.

    `append` is not thread-safe. `sync` and `close` may run in another thread.
    """

    def __init__(self, folder: Path, size: int) -> None:
        """Create a segment and allocate its disk space.

        Raises:
            OSError: the disk is full, or the folder is not writable.
        """
        name = uuid.uuid4().hex
        unfinished = folder / f"{name}.new"
        self._file = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            os.posix_fallocate(self._file, 0, size)
            os.pwrite(self._file, HEADER.pack(MAGIC, HEADER.size), 0)
            unfinished.rename(folder / f"{name}{SUFFIX}")
        except BaseException:
            os.close(self._file)
            with suppress(OSError):
                unfinished.unlink()
            raise
        self._size = size
        self._end = self._synced = HEADER.size
        self._folder = folder
        self._is_folder_synced = False
        self.numbers: dict[EventTemplate, int] = {}
        """The numbers of the templates that are defined in this segment."""

    def define(self, template: EventTemplate) -> bytes:
        """Return the frame that defines a template and must be appended before its first use.

        If this segment already defines the template, the result is b"".
        """
        if template in self.numbers:
            return b""
        number = self.numbers[template] = len(self.numbers)
        return template_frame(number, template)

    def has_space(self, length: int) -> bool:
        """Return whether `length` more bytes fit."""
        return self._end + length <= self._size

    def append(self, data: bytes) -> None:
        """Write frames with one system call. After it, a kill of the process loses nothing.

        Raises:
            OSError: nothing counts as written. The next call writes at the same position.
        """
        written = os.pwrite(self._file, data, self._end)
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes were written")
        self._end += written

    def sync(self) -> None:
        """Flush the appended frames to the disk."""
        end = self._end
        if end != self._synced:
            os.fdatasync(self._file)
            self._synced = end
        if not self._is_folder_synced:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            self._is_folder_synced = True

    def close(self) -> None:
        """Free the unused disk space, flush, and leave the segment to the shipper."""
        try:
            os.ftruncate(self._file, self._end)
            os.fsync(self._file)
        finally:
            os.close(self._file)
