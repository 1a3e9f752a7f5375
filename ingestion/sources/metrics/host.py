"""Measure this host with psutil.

Metrics: cpu_busy (ratio, since the last sample), memory_used and disk_used (bytes; the disk with the state folder).
"""

import platform
from collections.abc import Iterator
from pathlib import Path

from lakehouse.contracts.host_metric import HostMetricSampled


def sample(host: str, disk: Path) -> Iterator[HostMetricSampled]:
    """Measure the host once; the first cpu_busy of a process covers the time since its import of psutil.

    `disk` is a folder on the disk to measure; it need not exist yet.
    """
    import psutil

    while not disk.exists():
        disk = disk.parent
    yield HostMetricSampled(host=host, metric="cpu_busy", value=psutil.cpu_percent() / 100.0, unit="ratio")
    yield HostMetricSampled(host=host, metric="memory_used", value=float(psutil.virtual_memory().used), unit="bytes")
    yield HostMetricSampled(host=host, metric="disk_used", value=float(psutil.disk_usage(str(disk)).used), unit="bytes")


def host_name() -> str:
    """Return this host's name as used in events."""
    return platform.node().strip()[:128] or "localhost"
