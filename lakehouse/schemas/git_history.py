"""Schemas as they were committed: every version that git knows, so that writing the file anew hides no break."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakehouse.errors import PermanentError

GIT_SECONDS = 60


@dataclass(frozen=True)
class Version:
    """A schema as it once was, and where that is found."""

    name: str
    schema: dict[str, Any]
    where: str


@dataclass(frozen=True)
class History:
    """Versions of all schemas, newest first, and in a few words how far back they reach."""

    reach: str
    versions: list[Version] = field(default_factory=list)


def read_history(folder: Path, against: str = "") -> History:
    """Return what git holds of the schemas up to HEAD and, if named, up to another revision (a pull request's target).

    Without git (a tarball) or with a shallow clone there is less to compare with, and `reach` says so.

    Raises:
        PermanentError: git does not know the other revision.
    """
    on_disk = list(_on_disk(folder))
    if against:
        _require_revision(folder, against)
    try:
        is_shallow = _git(folder, "rev-parse", "--is-shallow-repository").strip() == "true"
        lines = _git(
            folder,
            "log",
            "-m",
            "--raw",
            "--no-abbrev",
            "--no-renames",
            "--format=%x00%h",
            *_revisions(against),
            "--",
            ".",
        )
    except (OSError, subprocess.SubprocessError) as error:
        why = getattr(error, "stderr", "") or str(error)
        return History(
            f"compared with the files of this folder alone, for git does not answer here ({why.strip()})", on_disk
        )
    committed = list(_committed(folder, lines))
    reach = f"compared with {len(committed)} committed version{'' if len(committed) == 1 else 's'}"
    if is_shallow:
        reach += "; this clone is shallow, so older ones are not known: fetch the whole history to compare with them"
    return History(reach, [*on_disk, *committed])


def _require_revision(folder: Path, revision: str) -> None:
    try:
        _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except (OSError, subprocess.SubprocessError) as error:
        raise PermanentError(
            f"Git does not know the revision {revision}, so nothing was compared with it, and nothing written. Is it "
            "spelled right, and fetched (`git fetch origin`)?"
        ) from error


def _revisions(against: str) -> list[str]:
    return ["HEAD", against] if against else ["HEAD"]


def _on_disk(folder: Path) -> Iterator[Version]:
    for path in sorted(folder.glob("*.json")):
        yield Version(path.stem, _parsed(path.read_text(encoding="utf-8"), str(path)), "the file as it is now")


def _committed(folder: Path, log: str) -> Iterator[Version]:
    """Yield each content that a schema ever had, from lines such as `:100644 100644 <old> <new> M<tab><path>`."""
    seen: set[tuple[str, str]] = set()
    commit = ""
    for line in log.splitlines():
        if line.startswith("\0"):
            commit = line[1:]
        if not line.startswith(":") or not line.endswith(".json"):
            continue
        change, _, path = line.partition("\t")
        before, after = change.split()[2:4]
        for blob, where in ((after, f"commit {commit}"), (before, f"before commit {commit}")):
            if set(blob) != {"0"} and (path, blob) not in seen:
                seen.add((path, blob))
                yield Version(
                    Path(path).stem, _parsed(_git(folder, "cat-file", "blob", blob), f"{path} ({where})"), where
                )


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        schema: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise PermanentError(
            f"{where} is not JSON ({error}). Take it from git again: `git checkout -- <file>`."
        ) from error
    return schema


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True, text=True, encoding="utf-8", timeout=GIT_SECONDS, check=True,
    )  # fmt: skip
    return answer.stdout
