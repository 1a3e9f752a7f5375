"""The dbt docs site of the published schemas. A hash of the project's files shows whether the site is up to date."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lakehouse.atomic_replace import replace_folder
from lakehouse.errors import PermanentError

SITE_FILES = ("index.html", "manifest.json", "catalog.json")
FINGERPRINT = "project.sha256"
DESCRIBED = {".sql", ".yml", ".md"}


def is_current(project: Path, site: Path) -> bool:
    """Return whether the site was generated from the project's current files."""
    made_of = site / FINGERPRINT
    return made_of.is_file() and made_of.read_text(encoding="ascii") == fingerprint(project)


def fingerprint(project: Path) -> str:
    """Return a hash over all files that the site shows."""
    digest = hashlib.sha256()
    for file in sorted(file for file in project.rglob("*") if file.suffix in DESCRIBED):
        digest.update(str(file.relative_to(project)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def renew(project: Path, site: Path, login: Mapping[str, str]) -> None:
    """Run `dbt docs generate` and replace the site atomically, so that readers see either the old or the new one.

    Raises:
        PermanentError: dbt failed.
    """
    from dbt.cli.main import dbtRunner

    def fill(folder: Path) -> None:
        made_of, target = fingerprint(project), folder / "target"
        places = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
        command = ["docs", "generate", "--target", "published", "--log-path", str(target), *places]
        result = dbtRunner().invoke(command)
        if not result.success:
            raise PermanentError(
                f"`dbt docs generate` failed: {result.exception or result.result}. See the task's log."
            )
        for name in SITE_FILES:
            (target / name).rename(folder / name)
        shutil.rmtree(target)
        (folder / FINGERPRINT).write_text(made_of, encoding="ascii")

    os.environ |= login
    replace_folder(site, fill)
