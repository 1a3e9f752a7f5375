"""/admin/rate-plans."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path
from pydantic import BaseModel, Field, StringConstraints

from serving.admin.routing import IsOperator, OperatorDep, admin_router, described
from serving.limits.rate_plan_changes import StoredPlan
from serving.schemas import Body, Line
from serving.services import ServicesDep

router = admin_router("rate plans")
EXAMPLE = {
    "name": "standard", "requests_per_second": 200.0, "burst": 400, "description": "People and small apps",
    "updated_at": "2026-11-20T12:00:00Z",
}  # fmt: skip
PlanName = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")], Path(description="Name of the plan.")
]


class RatePlanRecord(BaseModel):
    """A rate plan: how many requests its accounts may send."""

    name: str
    requests_per_second: float = Field(description="Requests per second that are permitted in the long run.")
    burst: int = Field(description="Requests that are permitted at once.")
    description: str
    updated_at: datetime


class RatePlansResponse(BaseModel):
    """All rate plans."""

    rate_plans: list[RatePlanRecord]


class RatePlanBody(Body):
    """The limits of a plan."""

    requests_per_second: Annotated[float, Field(ge=0.01, le=1_000_000, allow_inf_nan=False)]
    burst: Annotated[int, Field(ge=1, le=1_000_000)]
    description: Annotated[Line, StringConstraints(min_length=1, max_length=500)]


@router.get(
    "/rate-plans", dependencies=[Depends(IsOperator)], **described("List rate plans", {"rate_plans": [EXAMPLE]})
)
def rate_plans(services: ServicesDep) -> RatePlansResponse:
    """List the rate plans, sorted by name."""
    return RatePlansResponse(rate_plans=[_record(plan) for plan in services.admin.rate_plans.all()])


@router.put("/rate-plans/{name}", **described("Create or change a rate plan", EXAMPLE))
def change(name: PlanName, body: RatePlanBody, services: ServicesDep, operator: OperatorDep) -> RatePlanRecord:
    """Create or change a plan. Every worker applies it within ten seconds. Plans cannot be deleted."""
    return _record(services.admin.rate_plans.change(name, operator, **body.model_dump()))


def _record(plan: StoredPlan) -> RatePlanRecord:
    return RatePlanRecord.model_validate(plan, from_attributes=True)
