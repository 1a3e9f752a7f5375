"""Which events may take whose room: what a user said comes before what the platform notes about itself.

Each source has a file of its own, so none takes another's bounds; and the sources of the platform's own records leave
the disk to the users' events: they keep nothing once less is free than those may still need.
"""

from lakehouse.settings import Settings

# The forecasts that were served, samples of hosts and queues, steps of the pipeline.
FORECASTS = "okr-api-forecasts"
PLATFORM_SOURCES = frozenset({FORECASTS, "okr-metrics", "okr-dags"})


def reserved_bytes(settings: Settings, source: str) -> int:
    """Return how many bytes of the disk a source must leave free: as many as a users' source may take."""
    return settings.spool_bytes if source in PLATFORM_SOURCES else 0
