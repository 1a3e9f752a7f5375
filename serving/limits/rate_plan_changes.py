"""List and change the stored rate plans. `rate_plan` reads them for every worker."""

from dataclasses import dataclass
from datetime import datetime

from serving.limits.rate_plan import PACKAGE
from serving.publication_reader import Reader, Warehouse


@dataclass(frozen=True)
class StoredPlan:
    """One row of serving.rate_plan."""

    name: str
    requests_per_second: float
    burst: int
    description: str
    updated_at: datetime


class RatePlanChanges:
    """Lists and changes the stored rate plans."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def all(self) -> list[StoredPlan]:
        """Return all plans, sorted by name."""
        with self._warehouse.connection() as connection:
            return [StoredPlan(**row) for row in Reader(connection).rows(PACKAGE, "stored_rate_plans")]

    def change(self, name: str, *, requests_per_second: float, burst: int, description: str) -> StoredPlan:
        """Create or change a plan. Every worker applies it within ten seconds."""
        values = {
            "name": name,
            "requests_per_second": requests_per_second,
            "burst": burst,
            "description": description,
        }
        with self._warehouse.connection() as connection:
            [row] = Reader(connection).rows(PACKAGE, "change_rate_plan", values)
        return StoredPlan(**row)
