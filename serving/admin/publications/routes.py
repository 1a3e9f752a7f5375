"""/admin/publications."""

from fastapi import Depends

from serving.admin.publications.schemas import (
    EXAMPLE_HOLD,
    EXAMPLE_PUBLICATION,
    CurrentPublicationResponse,
    PublicationsResponse,
    ResumeResponse,
    RollbackBody,
    RollbackResponse,
)
from serving.admin.routing import IsOperator, Limit, OperatorDep, PageCursor, admin_router, described
from serving.services import ServicesDep

router = admin_router("publications")
PAGE = {"publications": [EXAMPLE_PUBLICATION], "holds": [EXAMPLE_HOLD], "next_cursor": None}
CURRENT = {"publication": EXAMPLE_PUBLICATION, "holds": [EXAMPLE_HOLD]}
ROLLED_BACK = {"rolled_back": 42, "is_changed": True, "current": EXAMPLE_PUBLICATION}


@router.get("/publications", dependencies=[Depends(IsOperator)], **described("List publications", PAGE))
def publications(services: ServicesDep, limit: Limit = 100, cursor: PageCursor = None) -> PublicationsResponse:
    """List publications, newest first, and the reasons why newer data is not published."""
    page, holds = services.admin.publications.page(limit, cursor)
    return PublicationsResponse.model_validate(
        {"publications": page.items, "holds": holds, "next_cursor": page.next_cursor}, from_attributes=True
    )


@router.get(
    "/publications/current", dependencies=[Depends(IsOperator)], **described("Get the current publication", CURRENT)
)
def current(services: ServicesDep) -> CurrentPublicationResponse:
    """Return the publication that all readers see, and the reasons why newer data is not published."""
    publication, holds = services.admin.publications.current()
    return CurrentPublicationResponse.model_validate({"publication": publication, "holds": holds}, from_attributes=True)


@router.post("/publications/rollback", **described("Roll back to the previous publication", ROLLED_BACK, 409, 501))
def roll_back(body: RollbackBody, services: ServicesDep, operator: OperatorDep) -> RollbackResponse:
    """Make the previous publication current again. New publications are then on hold until they are resumed.

    The request names the publication to roll back. Therefore a repeated request changes nothing, and neither does a
    request that arrives after another publication.
    """
    result = services.admin.publications.roll_back(body.current_publication_id, operator)
    return RollbackResponse.model_validate(
        {"rolled_back": body.current_publication_id, "is_changed": result.is_changed, "current": result.restored},
        from_attributes=True,
    )


@router.post("/publications/resume", **described("Resume publications", {"is_changed": True, "dropped": [42]}, 501))
def resume(services: ServicesDep, operator: OperatorDep) -> ResumeResponse:
    """End the hold after a rollback. Runs then publish again, so fix the cause of the rollback first."""
    dropped = services.admin.publications.resume(operator)
    return ResumeResponse(is_changed=bool(dropped), dropped=dropped)
