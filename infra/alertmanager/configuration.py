"""Alertmanager's configuration, and how it replaces the old one."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from jinja2 import Environment, PackageLoader, StrictUndefined

from infra.alertmanager.inhibitions import INHIBITIONS
from infra.alertmanager.receivers import Receivers
from lakehouse.errors import PermanentError

PACKAGE = "`sudo apt-get install prometheus-alertmanager` installs it"


@dataclass(frozen=True)
class Timing:
    """How long Alertmanager waits before it records an alert, and a change of it. Tests use shorter times."""

    record_wait: str = "1s"
    record_interval: str = "30s"


def configuration(receivers: Receivers, timing: Timing = Timing()) -> str:
    """Return Alertmanager's configuration. It may contain secrets."""
    environment = Environment(  # nosec B701 -- not HTML; `quoted` escapes texts
        loader=PackageLoader("infra.alertmanager", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 -- not HTML; `quoted` escapes texts
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = lambda value: json.dumps(str(value))  # JSON texts are YAML texts
    template = environment.get_template("alertmanager.yml.j2")
    return template.render(receivers=receivers, timing=timing, inhibitions=INHIBITIONS)


def write(receivers: Receivers, file: Path, timing: Timing = Timing()) -> bool:
    """Replace the file, which only its owner and group may read. Return whether it changed.

    A file that exists keeps its owner, group and mode. The new content is checked by amtool first, so a running
    Alertmanager never finds an invalid file.

    Raises:
        PermanentError: amtool is missing or rejects the configuration, or the file cannot be written.
    """
    content = configuration(receivers, timing)
    candidate = file.with_name(f".{file.name}.new")
    try:
        old = file.stat() if file.exists() else None
        if old and file.read_text(encoding="utf-8") == content:
            return False
        candidate.unlink(missing_ok=True)
        descriptor = os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        if old:
            os.chown(candidate, old.st_uid, old.st_gid)
            candidate.chmod(old.st_mode & 0o660)
        _check(candidate)
        candidate.replace(file)
    except OSError as error:
        raise PermanentError(
            f"{file} was not written ({error}). Does its folder exist, does this user have the right to write there, "
            "and is there space?"
        ) from error
    finally:
        candidate.unlink(missing_ok=True)
    return True


def _check(file: Path) -> None:
    amtool = which("amtool")
    if amtool is None:
        raise PermanentError(f"amtool, which checks the configuration, is not installed: {PACKAGE}.")
    checked = subprocess.run([amtool, "check-config", str(file)], capture_output=True, text=True, check=False)
    if checked.returncode:
        problem = " ".join((checked.stdout + checked.stderr).split())
        raise PermanentError(f"amtool rejects the configuration, and nothing was changed: {problem}")
