"""The previous release: the newest tag, or without tags the newest commit that lacks the newest revision."""

import subprocess
import tarfile
from pathlib import Path

from infra.migrations.revisions import scripts

ROOT = Path(__file__).parents[3]
VERSIONS = "infra/migrations/versions"


def previous_release() -> str:
    """Return its commit. Revisions are compared by name without number, because numbers changed before a release."""
    if tags := _git("tag", "--sort=-creatordate", "--merged", "HEAD~1").split():
        return tags[0]
    newest = scripts().get_revision(scripts().get_current_head() or "")
    name = Path(newest.path).stem.partition("_")[2]
    for commit in _git("log", "--format=%H", "--", VERSIONS).split():
        files = _git("ls-tree", "--name-only", commit, f"{VERSIONS}/")
        if f"_{name}." not in files:
            return commit
    raise AssertionError("The history has no commit without the newest revision. Is it a shallow clone?")


def unpack(commit: str, folder: Path) -> None:
    """Write the files of a commit into a folder."""
    archive = folder / "archive.tar"
    _git("archive", "--output", str(archive), commit)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    archive.unlink()


def source(folder: Path) -> str:
    """Return the text of all Python and SQL files of a release, without its revisions and tests."""
    files = [path for suffix in ("*.py", "*.sql") for path in folder.rglob(suffix)]
    kept = (path for path in files if not path.is_relative_to(folder / VERSIONS) and "tests" not in path.parts)
    return "\n".join(path.read_text(encoding="utf-8") for path in kept)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout
