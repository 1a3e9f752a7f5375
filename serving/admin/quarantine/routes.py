"""/admin/quarantine."""

from typing import Annotated, Any

from fastapi import Depends, Query

from lakehouse.quarantine import WHEN_APPLIED, Decision
from serving.admin.changes import Operator
from serving.admin.quarantine.schemas import EVENT_ID, EXAMPLE, DecisionBody, DecisionResponse, QuarantineResponse
from serving.admin.routing import IsOperator, Limit, OperatorDep, PageCursor, admin_router, described
from serving.services import Services, ServicesDep

router = admin_router("quarantine")
PAGE = {"events": [EXAMPLE], "pending": [], "next_cursor": None}


@router.get(
    "/quarantine", dependencies=[Depends(IsOperator)], **described("List flagged and withheld events", PAGE, 409)
)
def quarantine(
    services: ServicesDep,
    withheld: Annotated[bool, Query(description="Only withheld events.")] = False,
    limit: Limit = 100,
    cursor: PageCursor = None,
) -> QuarantineResponse:
    """List the flagged and withheld events of the current publication: withheld ones first, then newest first."""
    page = services.admin.quarantine.page(limit, cursor, withheld_only=withheld)
    return QuarantineResponse.model_validate(
        {"events": page.items, "pending": services.admin.quarantine.pending(), "next_cursor": page.next_cursor},
        from_attributes=True,
    )


def _decided(decision: Decision) -> dict[str, Any]:
    return {"decision": decision, "event_ids": [EVENT_ID], "applies": WHEN_APPLIED}


@router.post("/quarantine/release", **described("Release events", _decided("release"), 409, 501))
def release(body: DecisionBody, services: ServicesDep, operator: OperatorDep) -> DecisionResponse:
    """Include events that a rule or an operator withheld: all events of the request, or none."""
    return _decide(services, body, "release", operator)


@router.post("/quarantine/withhold", **described("Withhold events", _decided("withhold"), 409, 501))
def withhold(body: DecisionBody, services: ServicesDep, operator: OperatorDep) -> DecisionResponse:
    """Exclude events from the state tables and from all marts except `fct_reviewed_event`: all events, or none.

    Their rows stay in raw and in the lake.
    """
    return _decide(services, body, "withhold", operator)


def _decide(services: Services, body: DecisionBody, decision: Decision, operator: Operator) -> DecisionResponse:
    ids = services.admin.quarantine.decide(body.event_ids, decision, body.reason, operator)
    return DecisionResponse(decision=decision, event_ids=ids, applies=WHEN_APPLIED)
