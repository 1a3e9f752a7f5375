"""Locate the files of a table's Delta log."""

from pathlib import Path

from lakehouse.errors import PermanentError

LAST_CHECKPOINT = "_last_checkpoint"


class DeltaLog:
    """The Delta log of a table in a local folder. For a table in an object store, it appears empty.

    In an object store, only delta-rs accesses the log.
    """

    def __init__(self, uri: str) -> None:
        self.folder = None if "://" in uri else Path(uri) / "_delta_log"

    def commits(self) -> list[int]:
        """Return the versions that have a commit file, ascending."""
        return self._versions(".json")

    def checkpoints(self) -> list[int]:
        """Return the versions that have a single-file checkpoint, ascending."""
        return self._versions(".checkpoint.parquet")

    def commit(self, version: int) -> Path:
        """Return the path of a version's commit file."""
        return self._path(f"{version:020}.json")

    def checkpoint(self, version: int) -> Path:
        """Return the path of a version's checkpoint."""
        return self._path(f"{version:020}.checkpoint.parquet")

    def last_checkpoint(self) -> Path:
        """Return the path of the file that points readers to the last checkpoint."""
        return self._path(LAST_CHECKPOINT)

    def _path(self, name: str) -> Path:
        if self.folder is None:
            raise PermanentError("Only delta-rs accesses the Delta log in an object store.")
        return self.folder / name

    def _versions(self, suffix: str) -> list[int]:
        if self.folder is None or not self.folder.is_dir():
            return []
        names = (path.name for path in self.folder.iterdir())
        return sorted(int(name[:20]) for name in names if name[20:] == suffix and name[:20].isdigit())
