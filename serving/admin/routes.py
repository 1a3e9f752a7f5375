"""The admin API under /admin."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from serving.admin.schemas import AdminState
from serving.auth.access import Caller
from serving.auth.identity import Right
from serving.services import Served
from serving.strict import StrictRoute

router = APIRouter(prefix="/admin", tags=["admin"], route_class=StrictRoute)


@router.get("/state", dependencies=[Depends(Caller(Right.ADMINISTER))])
def state(services: Served, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> AdminState:
    """Return the newest publications and gate results, and what became of the predictions' events."""
    return AdminState.model_validate(services.administration.state(limit))
