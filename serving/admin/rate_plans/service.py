"""Rate plans that operators change, recorded in the audit log. This module does not use FastAPI."""

from serving.admin.changes import Changes, Operator
from serving.limits.rate_plan_changes import RatePlanChanges, StoredPlan

LIMITS = ("requests_per_second", "burst", "description")


class RatePlanOperations:
    """Lists and changes rate plans."""

    def __init__(self, rate_plans: RatePlanChanges, changes: Changes) -> None:
        self._rate_plans = rate_plans
        self._changes = changes

    def all(self) -> list[StoredPlan]:
        """Return all plans by name."""
        return self._rate_plans.all()

    def change(
        self, name: str, operator: Operator, *, requests_per_second: float, burst: int, description: str
    ) -> StoredPlan:
        """Create or change a plan. Every worker applies it within ten seconds."""
        with self._changes.recorded(operator, "rate_plan.changed", name) as details:
            before = next((vars(plan) for plan in self.all() if plan.name == name), dict.fromkeys(LIMITS))
            changed = self._rate_plans.change(
                name, requests_per_second=requests_per_second, burst=burst, description=description
            )
            details |= {each: _recorded(vars(changed)[each]) for each in LIMITS}
            details |= {f"{each}_before": _recorded(before[each]) for each in LIMITS}
        return changed


def _recorded(value: str | float | None) -> str | int | None:
    """Return a value as the audit log can store it: fractional numbers as text."""
    return str(value) if isinstance(value, float) else value
