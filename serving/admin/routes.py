"""The admin API under /admin."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from serving.admin.schemas import AdminState
from serving.auth.authorization import RequireToken
from serving.auth.roles import Right
from serving.services import ServicesDep
from serving.strict_requests import StrictRoute

router = APIRouter(prefix="/admin", tags=["admin"], route_class=StrictRoute)


@router.get("/state", dependencies=[Depends(RequireToken(Right.ADMINISTER))])
def state(services: ServicesDep, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> AdminState:
    """Return the newest publications and gate results, and the state of the two spools."""
    return AdminState.model_validate(services.administration.state(limit))
