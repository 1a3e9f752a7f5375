"""Where the files of a table's Delta log are."""

from pathlib import Path

from lakehouse.errors import PermanentError

LAST_CHECKPOINT = "_last_checkpoint"


class DeltaLog:
    """The log of a table in a local folder. Of an object store's only delta-rs's own part of the work is done."""

    def __init__(self, uri: str) -> None:
        self.folder = None if "://" in uri else Path(uri) / "_delta_log"

    def commits(self) -> list[int]:
        """Return the versions that have a commit file, rising."""
        return self._versions(".json")

    def checkpoints(self) -> list[int]:
        """Return the versions that have a checkpoint of one file, rising."""
        return self._versions(".checkpoint.parquet")

    def commit(self, version: int) -> Path:
        """Return where a version's commit file is."""
        return self._path(f"{version:020}.json")

    def checkpoint(self, version: int) -> Path:
        """Return where a version's checkpoint is."""
        return self._path(f"{version:020}.checkpoint.parquet")

    def last_checkpoint(self) -> Path:
        """Return where readers look first."""
        return self._path(LAST_CHECKPOINT)

    def _path(self, name: str) -> Path:
        if self.folder is None:
            raise PermanentError("The files of an object store's Delta log are not ours to touch.")
        return self.folder / name

    def _versions(self, ending: str) -> list[int]:
        if self.folder is None or not self.folder.is_dir():
            return []
        names = (path.name for path in self.folder.iterdir())
        return sorted(int(name[:20]) for name in names if name[20:] == ending and name[:20].isdigit())
