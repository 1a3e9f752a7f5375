"""Read all committed versions of the schemas, so that rewriting a file cannot hide an incompatible change."""

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
    """One earlier version of a schema, and the commit that contains it."""

    name: str
    schema: dict[str, Any]
    where: str


@dataclass(frozen=True)
class History:
    """Versions of all schemas, newest first, and a text that says how far back they reach."""

    reach: str
    versions: list[Version] = field(default_factory=list)


def read_history(folder: Path, against: str = "") -> History:
    """Return the schema versions in git up to HEAD and, if given, up to another revision (a pull request's target).

    Without git (in a tarball) or in a shallow clone, fewer versions are found, and `reach` says so.

    Raises:
        PermanentError: the other revision does not exist.
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
            f"compared only with the files in this folder, because git is not available here ({why.strip()})", on_disk
        )
    committed = list(_committed(folder, lines))
    reach = f"compared with {len(committed)} committed version{'' if len(committed) == 1 else 's'}"
    if is_shallow:
        reach += "; this clone is shallow: fetch the whole history to compare with older versions"
    return History(reach, [*on_disk, *committed])


def _require_revision(folder: Path, revision: str) -> None:
    try:
        _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except (OSError, subprocess.SubprocessError) as error:
        raise PermanentError(
            f"Git has no revision {revision}, so nothing was compared and nothing was written. Is the name "
            "correct, and is the revision fetched (`git fetch origin`)?"
        ) from error


def _revisions(against: str) -> list[str]:
    return ["HEAD", against] if against else ["HEAD"]


def _on_disk(folder: Path) -> Iterator[Version]:
    for path in sorted(folder.glob("*.json")):
        yield Version(path.stem, _parsed(path.read_text(encoding="utf-8"), str(path)), "the file as it is now")


def _committed(folder: Path, git_log: str) -> Iterator[Version]:
    """Yield each version of a schema, from lines such as `:100644 100644 <old> <new> M<tab><path>`."""
    seen: set[tuple[str, str]] = set()
    commit = ""
    for line in git_log.splitlines():
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
            f"{where} is not JSON ({error}). Restore it from git: `git checkout -- <file>`."
        ) from error
    return schema


def _git(folder: Path, *arguments: str) -> str:
    completed = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True, text=True, encoding="utf-8", timeout=GIT_SECONDS, check=True,
    )  # fmt: skip
    return completed.stdout
