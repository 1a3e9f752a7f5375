"""What this host measures of itself, by psutil, until it is told to stop. A broker that is away costs samples, no more.

Metrics: cpu_busy (ratio, since the last sample), memory_used and disk_used (bytes; the disk that holds the state).
"""

import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from ingestion.events import EncodedEvent, encode
from ingestion.producer import EventProducer
from lakehouse.contracts.host_metric import HostMetricSampled
from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger

log = get_logger(__name__)

SOURCE = "okr-host-metrics"
LONGEST_PAUSE_SECONDS = 60.0
FLUSH_SECONDS = 5.0  # and as long again to leave the producer: the longest that SIGTERM has to wait


def sample(host: str, disk: Path) -> Iterator[HostMetricSampled]:
    """Measure the host once; the first cpu_busy of a process covers the time since its import of psutil.

    `disk` is a folder on the disk to be measured, or one that will be made there.
    """
    import psutil

    while not disk.exists():
        disk = disk.parent
    yield HostMetricSampled(host=host, metric="cpu_busy", value=psutil.cpu_percent() / 100.0, unit="ratio")
    yield HostMetricSampled(host=host, metric="memory_used", value=float(psutil.virtual_memory().used), unit="bytes")
    yield HostMetricSampled(host=host, metric="disk_used", value=float(psutil.disk_usage(str(disk)).used), unit="bytes")


def host_name() -> str:
    """Return this host's name, as events carry it."""
    return platform.node().strip()[:128] or "localhost"


def collect(*, bootstrap: str, disk: Path, interval_seconds: float, stop: Event) -> int:
    """Send samples until `stop` is set; returns how many the broker took.

    While the broker is away it tries again, waiting longer each time (up to a minute); metrics of that time are
    not made up for.
    """
    sent = 0
    pause = interval_seconds
    while not stop.is_set():
        try:
            with EventProducer(bootstrap, client_id=SOURCE, connect_seconds=5.0) as producer:
                pause = interval_seconds
                while not stop.is_set():
                    samples = _send_samples(producer.send, disk)
                    producer.flush(FLUSH_SECONDS)
                    sent += samples
                    stop.wait(interval_seconds)
        except RetryableError as error:
            log.warning("the broker is away; host metrics pause", seconds=pause, error=str(error))
            stop.wait(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
    return sent


def _send_samples(send: Callable[[EncodedEvent], None], disk: Path) -> int:
    now = datetime.now(UTC)
    samples = list(sample(host_name(), disk))
    for data in samples:
        send(encode(data, at=now, source=SOURCE))
    return len(samples)
