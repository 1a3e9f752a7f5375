"""Measure this host with psutil.

The metrics are cpu_busy (a ratio, since the previous sample), memory_used (in bytes) and disk_used (in bytes, of the
disk with the state folder).
"""

import platform
from collections.abc import Iterator
from pathlib import Path

from lakehouse.contracts.host_metric import HostMetricSampled


def sample(host: str, disk: Path) -> Iterator[HostMetricSampled]:
    """Measure the host once. The first cpu_busy in a process covers the time since psutil was imported.

    `disk` is a folder on the disk to measure; it need not exist yet.
    """
    import psutil

    while not disk.exists():
        disk = disk.parent
    yield HostMetricSampled(host=host, metric="cpu_busy", value=psutil.cpu_percent() / 100.0, unit="ratio")
    yield HostMetricSampled(host=host, metric="memory_used", value=float(psutil.virtual_memory().used), unit="bytes")
    yield HostMetricSampled(host=host, metric="disk_used", value=float(psutil.disk_usage(str(disk)).used), unit="bytes")


def host_name() -> str:
    """Return this host's name as it appears in events."""
    return platform.node().strip()[:128] or "localhost"
