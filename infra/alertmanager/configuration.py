"""Alertmanager's configuration, and how it replaces the old one."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from jinja2 import Environment, PackageLoader, StrictUndefined

from infra.alertmanager.inhibitions import INHIBITIONS
from infra.alertmanager.private_file import replace
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


def write(receivers: Receivers, file: Path, timing: Timing = Timing(), group: str = "") -> bool:
    """Replace the file, which only its owner and the group may read. Return whether its content changed.

    The new content is checked by amtool first, so a running Alertmanager never finds an invalid file.

    Raises:
        PermanentError: amtool is missing or rejects the configuration, or the file cannot be written.
    """
    content = configuration(receivers, timing)
    has_changed = not file.is_file() or file.read_text(encoding="utf-8") != content
    replace(file, content, group, _check)
    return has_changed


def _check(file: Path) -> None:
    amtool = which("amtool")
    if amtool is None:
        raise PermanentError(f"amtool, which checks the configuration, is not installed: {PACKAGE}.")
    checked = subprocess.run([amtool, "check-config", str(file)], capture_output=True, text=True, check=False)
    if checked.returncode:
        problem = " ".join((checked.stdout + checked.stderr).split())
        raise PermanentError(f"amtool rejects the configuration, and nothing was changed: {problem}")
