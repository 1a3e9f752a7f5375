"""The repository of backups: what this package needs of restic, with its errors explained."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from infra.backup.program_output import collect
from infra.backup.repository_errors import NoRepository, VanishedError, explained, last_words
from lakehouse.environment import CLOUD, for_children
from lakehouse.errors import PermanentError, RetryableError

RESERVE = "okr-reserve"  # in a repository in a folder: space that lets `okr backup prune` work on a full disk
RESERVE_BYTES = 64 * 2**20
INCOMPLETE = 3  # restic's status if it could not read all files
HOST = "okr"  # the same for all hosts, so that any of them finds the snapshots of the others


@dataclass(frozen=True)
class Snapshot:
    """One snapshot. `part` and `point` are tags: the part of the platform, and the id of the recovery point."""

    id: str
    part: str
    point: str


@dataclass(frozen=True)
class Saved:
    """What a backup has stored: the snapshot, the bytes that it contains, and those that were new in the repository."""

    snapshot: str
    size_bytes: int
    added_bytes: int


class Repository:
    """A restic repository in a folder or in object storage."""

    def __init__(self, location: str, password: str, state: Path) -> None:
        self.location = location
        cloud = {name: value for name, value in os.environ.items() if name.startswith(CLOUD)}
        self._environment = for_children(state) | cloud | {
            "RESTIC_REPOSITORY": location,
            "RESTIC_PASSWORD": password,
            "RESTIC_CACHE_DIR": str(state / "backup" / "cache"),
            "RESTIC_PROGRESS_FPS": "0.01",
        }  # fmt: skip

    def create(self) -> None:
        """Create the repository.

        Raises:
            PermanentError: it exists.
            RetryableError: its location cannot be written.
        """
        self._run(["init"])
        self.reserve()

    def exists(self) -> bool:
        """Return whether there is a repository, which this password opens.

        Raises:
            PermanentError: the password is wrong.
        """
        try:
            self._run(["cat", "config"])
        except NoRepository:
            return False
        return True

    def unlock(self) -> None:
        """Remove the locks of processes that were killed. Restic keeps those of processes that run."""
        self._run(["unlock"])

    def snapshots(self, part: str | None = None) -> list[Snapshot]:
        """Return the snapshots of a part or of all, the oldest first."""
        output = self._run(["snapshots", "--json", "--no-lock", *(["--tag", f"part={part}"] if part else [])])
        return [snapshot for found in json.loads(output) or () if (snapshot := _snapshot(found)) is not None]

    def save_files(self, files: Sequence[Path], part: str, point: str) -> Saved:
        """Save files by their absolute paths.

        Raises:
            VanishedError: a file was deleted meanwhile.
            RetryableError: the repository cannot be written; it has no new snapshot.
        """
        parent = next((each.id for each in reversed(self.snapshots(part))), None)
        names = "".join(f"{path}\0" for path in files).encode()
        output = self._run(
            ["backup", "--json", "--host", HOST, *_tags(part, point), "--files-from-raw", "-",
             *(["--parent", parent] if parent else ["--force"])],
            text=names,
        )  # fmt: skip
        saved = _saved(output)
        stored = int(json.loads(output.splitlines()[-1])["total_files_processed"])
        if stored != len(set(files)):  # restic skips files that do not exist, without an error
            self.forget([saved.snapshot])
            raise VanishedError(f"{len(set(files)) - stored} files of {part} were deleted while they were being saved.")
        return saved

    def save_text(self, text: str, name: str, part: str, point: str) -> Saved:
        """Save a text as one file."""
        return _saved(self._run(self._from_standard_input(name, part, point), text=text.encode()))

    def save_output(
        self, command: Sequence[str], environment: Mapping[str, str], name: str, part: str, point: str
    ) -> Saved:
        """Save what a program prints.

        A program that fails has printed only a part, of which restic makes a snapshot like any other (restic #4251).
        Such a snapshot is removed.

        Raises:
            RetryableError: the program failed, or the repository cannot be written.
        """
        with subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=False,
        ) as program:
            errors = collect(program.stderr)
            try:
                saved = _saved(self._run(self._from_standard_input(name, part, point), stdin=program.stdout))
            except RetryableError:
                program.kill()
                raise
            if program.stdout is not None:
                program.stdout.close()
            status = program.wait()
        said = errors()
        if status != 0:
            self.forget([saved.snapshot])
            raise RetryableError(f"{Path(command[0]).name} failed (status {status}): {' '.join(said.split())[-600:]}")
        return saved

    def read(self, snapshot: str, name: str) -> bytes:
        """Return one file of a snapshot."""
        return self._run(["dump", "--no-lock", snapshot, name])

    @contextmanager
    def opened(self, snapshot: str, name: str) -> Iterator[IO[bytes]]:
        """Yield one file of a snapshot as a stream.

        Raises:
            RetryableError: the repository cannot be read or is damaged.
        """
        with subprocess.Popen(
            [_restic(), "dump", "--no-lock", snapshot, name],
            env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout is not None  # noqa: S101 -- for mypy: it is a pipe
            errors = collect(process.stderr)
            yield process.stdout
            process.stdout.read()  # so that restic ends
            if process.wait() != 0:
                raise explained(errors(), self.location)

    def restore(self, snapshot: str, target: Path) -> None:
        """Restore the files of a snapshot, with their absolute paths, below a folder."""
        self._run(["restore", "--no-lock", snapshot, "--target", str(target)])

    def files(self, snapshot: str) -> dict[str, int]:
        """Return the sizes of the files of a snapshot in bytes, by their absolute paths."""
        lines = self._run(["ls", "--no-lock", "--json", snapshot]).splitlines()
        found = [json.loads(line) for line in lines]
        return {each["path"]: int(each.get("size", 0)) for each in found if each.get("type") == "file"}

    def forget(self, snapshots: Sequence[str]) -> None:
        """Remove snapshots. Their data stays until `prune`."""
        if snapshots:
            self._run(["forget", *snapshots])

    def prune(self, *, without_space: bool = False) -> None:
        """Remove data that no snapshot contains; `without_space`: only whole files, so that none is rewritten."""
        self._run(["prune", *(["--max-repack-size", "0"] if without_space else [])])

    def reserve(self) -> None:
        """Reserve space on the disk of a repository in a folder, if there is enough."""
        folder = Path(self.location)
        if folder.is_dir():
            size = min(RESERVE_BYTES, shutil.disk_usage(folder).free // 50)
            with contextlib.suppress(OSError):
                (folder / RESERVE).write_bytes(bytes(size))

    def release_reserve(self) -> None:
        """Give the reserved space to the next commands."""
        with contextlib.suppress(OSError):
            (Path(self.location) / RESERVE).unlink()

    def check(self, *, read_data: bool) -> None:
        """Check the structure of the repository or, with `read_data`, every byte.

        It takes no lock, so that backups go on for as long as it reads. Nothing may be removed meanwhile.

        Raises:
            PermanentError: it is damaged.
        """
        try:
            self._run(["check", "--no-lock", *(["--read-data"] if read_data else [])])
        except (NoRepository, RetryableError) as error:
            if isinstance(error, NoRepository):
                raise
            raise PermanentError(
                f"The repository {self.location} is damaged: {error}. Keep it, copy it to another disk, and start "
                "another one (`okr backup init`). docs/runbooks/restore.md says what can still be restored from it."
            ) from error

    def _from_standard_input(self, name: str, part: str, point: str) -> list[str]:
        return ["backup", "--json", "--host", HOST, *_tags(part, point), "--stdin", "--stdin-filename", name]

    def _run(self, arguments: Sequence[str], *, text: bytes | None = None, stdin: IO[bytes] | None = None) -> bytes:
        options: dict[str, Any] = {"input": text} if text is not None else {"stdin": stdin or subprocess.DEVNULL}
        result = subprocess.run(
            [_restic(), *arguments], env=self._environment, capture_output=True, check=False, **options
        )
        if result.returncode == 0:
            return bytes(result.stdout)
        said = result.stderr.decode(errors="replace") or result.stdout.decode(errors="replace")
        if result.returncode == INCOMPLETE:
            self.forget([_saved(result.stdout).snapshot])
            raise VanishedError(f"Files could not be read while they were being saved: {last_words(said)}")
        raise explained(said, self.location)


def _restic() -> str:
    program = shutil.which("restic")
    if program is None:
        raise PermanentError(
            "The program restic is not installed. On Debian: `apt-get install restic` (0.14 or later)."
        )
    return program


def _tags(part: str, point: str) -> list[str]:
    return ["--tag", f"part={part}", "--tag", f"point={point}"]


def _snapshot(found: Mapping[str, Any]) -> Snapshot | None:
    tags = dict(tag.split("=", 1) for tag in found.get("tags") or () if "=" in tag)
    return Snapshot(found["id"], tags["part"], tags["point"]) if {"part", "point"} <= tags.keys() else None


def _saved(output: bytes) -> Saved:
    summary = json.loads(output.splitlines()[-1])
    return Saved(summary["snapshot_id"], int(summary["total_bytes_processed"]), int(summary["data_added"]))
