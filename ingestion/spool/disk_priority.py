"""Give user events priority over platform events (latencies, metrics, pipeline steps) when disk space runs low.

Each source has its own file and limits. In addition, sources of platform events stop spooling when the free
disk space is smaller than the limit of one source of user events.
"""

from lakehouse.settings import Settings

TELEMETRY = "okr-api-forecasts"  # request latencies; named for the forecasts that older releases spooled in this file
# The sources of request latencies, host and queue metrics, and pipeline steps.
PLATFORM_SOURCES = frozenset({TELEMETRY, "okr-metrics", "okr-dags"})


def reserved_bytes(settings: Settings, source: str) -> int:
    """Return the bytes of disk space that a source must leave free.

    For platform events, this is the limit of one source of user events.
    """
    return settings.spool_bytes if source in PLATFORM_SOURCES else 0
