"""Give user events priority over platform records when disk space runs low.

Each source has its own file and limits. In addition, sources of platform records stop spooling when the free disk space
falls below the limit of one source of user events.
"""

from lakehouse.settings import Settings

# The sources of served forecasts, of metrics of hosts and queues, and of pipeline steps.
FORECASTS = "okr-api-forecasts"
PLATFORM_SOURCES = frozenset({FORECASTS, "okr-metrics", "okr-dags"})


def reserved_bytes(settings: Settings, source: str) -> int:
    """Return how many bytes of disk a source must leave free: for platform records, the limit of one user source."""
    return settings.spool_bytes if source in PLATFORM_SOURCES else 0
