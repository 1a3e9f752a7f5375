"""Files and folders that other users of this host can read or change."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import lakehouse
from infra.audit.finding import Finding, NotChecked
from infra.audit.installation import Installation
from infra.nginx.site import ACME_FOLDER
from lakehouse.configuration.secret_files import secret_file
from lakehouse.environment import CREDENTIALS
from lakehouse.settings import STACK_ENV, secret_fields

OTHERS = stat.S_IRWXO
GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each secret that others can read, and each folder with data that others can enter.

    Raises:
        NotChecked: there are neither secrets nor data on this host.
    """
    files, folders = [*_secret_files(installation)], [*_data_folders(installation)]
    if not files and not folders:
        raise NotChecked("this host has no secrets or data of the platform")
    for file in files:
        if file.stat().st_mode & GROUP_AND_OTHERS and not _is_handed_over(file):
            yield Finding(
                str(file), "read rights for its owner only (0600, folders 0700)", _octal(file),
                f"Run chmod {'0700' if file.is_dir() else '0600'} {file}, and replace what others may have read.",
            )  # fmt: skip
    for folder in folders:
        if _is_open_to_others(folder):
            yield Finding(
                str(folder), "a folder that other users cannot enter (0750 or 0700)", _octal(folder),
                f"Run chmod o-rwx {folder}.",
            )  # fmt: skip
    code = Path(lakehouse.__file__).parent
    if code.stat().st_mode & stat.S_IWOTH:
        yield Finding(str(code), "code that others cannot change", _octal(code), f"Run chmod -R o-w {code.parent}.")


def _secret_files(installation: Installation) -> Iterator[Path]:
    named = [found[1] for field in secret_fields() if (found := secret_file(field)) is not None]
    folder = os.environ.get(CREDENTIALS)
    handed_over = [Path(folder), *Path(folder).iterdir()] if folder else []
    candidates = {installation.settings.state / STACK_ENV, *named, *handed_over}
    yield from sorted(path for path in candidates if path.exists())


def _is_handed_over(file: Path) -> bool:
    """Return whether systemd made this copy of a secret: its folder is closed, and its files are 0440."""
    return file.is_relative_to("/run/credentials")


def _data_folders(installation: Installation) -> Iterator[Path]:
    """Yield the folders in the state folder (spools, predictions, services), the lake and the artifacts.

    nginx's folder for the challenges of certificate authorities contains no data and must be readable.
    """
    settings = installation.settings
    folders = sorted(settings.state.iterdir()) if settings.state.is_dir() else []
    folders = [folder for folder in folders if folder.name != ACME_FOLDER.name]
    folders += [Path(text) for text in (settings.lake_uri, settings.mlflow_artifacts) if text.startswith("/")]
    yield from dict.fromkeys(folder for folder in folders if folder.is_dir())


def _is_open_to_others(folder: Path) -> bool:
    """Return whether other users have any right on the folder, and can reach it through its parents."""
    real = folder.resolve()
    can_reach = all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents)
    return bool(real.stat().st_mode & OTHERS) and can_reach


def _octal(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"
