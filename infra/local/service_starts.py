"""Count the starts of each service, for the alert about services that keep restarting.

On servers, systemd counts them.
"""

import contextlib
import re

from infra.local.stack import Stack
from lakehouse.atomic_replace import replace_file

_COUNT = re.compile(r"^okr_service_starts_total\{.*\} (\d+)$", re.MULTILINE)


def count_start(stack: Stack, name: str) -> None:
    """Add a start to the file of a service in the folder of metrics. A full disk must not prevent the start."""
    file = stack.state / "metrics" / f"starts-{name}.prom"
    with contextlib.suppress(OSError):
        stack.folder("metrics")
        found = _COUNT.search(file.read_text(encoding="utf-8")) if file.is_file() else None
        starts = 1 + (int(found[1]) if found else 0)
        replace_file(
            file, f'# TYPE okr_service_starts_total counter\nokr_service_starts_total{{unit="{name}"}} {starts}\n'
        )
