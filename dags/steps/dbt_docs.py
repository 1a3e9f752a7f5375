"""The dbt docs site of the published schemas. A hash of the project's files shows whether the site is up to date."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lakehouse.atomic_replace import replace_folder
from lakehouse.errors import PermanentError

SITE_FILES = ("index.html", "manifest.json", "catalog.json")
FINGERPRINT_FILE = "project.sha256"
SHOWN_SUFFIXES = {".sql", ".yml", ".md"}


def is_current(project: Path, site: Path) -> bool:
    """Return whether the site was generated from the project's current files."""
    fingerprint_file = site / FINGERPRINT_FILE
    return fingerprint_file.is_file() and fingerprint_file.read_text(encoding="ascii") == fingerprint(project)


def fingerprint(project: Path) -> str:
    """Return a hash of all files that the site shows."""
    digest = hashlib.sha256()
    for file in sorted(file for file in project.rglob("*") if file.suffix in SHOWN_SUFFIXES):
        digest.update(str(file.relative_to(project)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def regenerate(project: Path, site: Path, environment: Mapping[str, str]) -> None:
    """Run `dbt docs generate` and replace the site atomically, so that readers see either the old site or the new one.

    Raises:
        PermanentError: dbt failed.
    """
    from dbt.cli.main import dbtRunner

    def fill(folder: Path) -> None:
        digest, target = fingerprint(project), folder / "target"
        locations = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
        command = ["docs", "generate", "--target", "published", "--log-path", str(target), *locations]
        result = dbtRunner().invoke(command)
        if not result.success:
            raise PermanentError(
                f"`dbt docs generate` failed: {result.exception or result.result}. See the task's log."
            )
        for name in SITE_FILES:
            (target / name).rename(folder / name)
        shutil.rmtree(target)
        (folder / FINGERPRINT_FILE).write_text(digest, encoding="ascii")

    os.environ |= environment
    replace_folder(site, fill)
