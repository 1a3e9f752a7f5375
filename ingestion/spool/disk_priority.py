"""Give events of users priority over records of the platform when disk space runs low.

Each source has its own file and limits. In addition, sources of platform records stop spooling when the free disk space
falls below what a source of user events may need.
"""

from lakehouse.settings import Settings

# Served forecasts, metrics of hosts and queues, pipeline steps.
FORECASTS = "okr-api-forecasts"
PLATFORM_SOURCES = frozenset({FORECASTS, "okr-metrics", "okr-dags"})


def reserved_bytes(settings: Settings, source: str) -> int:
    """Return how many bytes of the disk a source must leave free: as many as a source of user events may take."""
    return settings.spool_bytes if source in PLATFORM_SOURCES else 0
