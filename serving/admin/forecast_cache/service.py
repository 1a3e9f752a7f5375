"""The forecast cache for operators. Clearing it is recorded in the audit log. This module does not use FastAPI."""

from serving.admin.changes import Changes, Operator
from serving.predictor.forecast_cache import CacheEntry, ForecastCache


class ForecastCacheOperations:
    """Shows and clears the forecasts that the workers share in Redis."""

    def __init__(self, cache: ForecastCache, changes: Changes) -> None:
        self._cache = cache
        self._changes = changes

    def entries(self) -> list[CacheEntry]:
        """Return the entries; raises the errors of `ForecastCache.entries`."""
        return self._cache.entries()

    def clear(self, operator: Operator) -> int:
        """Delete the entries and return their number; raises the errors of `ForecastCache.clear`."""
        with self._changes.recorded(operator, "forecast_cache.cleared", "forecast cache") as details:
            deleted = self._cache.clear()
            details["deleted"] = deleted
        return deleted
