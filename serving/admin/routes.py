"""The admin API under /admin: the routers of its parts, and the state of the installation on one page."""

from typing import Annotated

from fastapi import Depends, Query

from serving.admin.accounts.routes import router as accounts
from serving.admin.api_keys.routes import router as api_keys
from serving.admin.audit_log.routes import router as audit_log
from serving.admin.dag_runs.routes import router as dag_runs
from serving.admin.experiments.routes import router as experiments
from serving.admin.forecast_cache.routes import router as forecast_cache
from serving.admin.gate_results.routes import router as gate_results
from serving.admin.lake_tables.routes import router as lake_tables
from serving.admin.models.routes import router as models
from serving.admin.publications.routes import router as publications
from serving.admin.quarantine.routes import router as quarantine
from serving.admin.rate_plans.routes import router as rate_plans
from serving.admin.rejected_messages.routes import router as rejected_messages
from serving.admin.roles.routes import router as roles
from serving.admin.routing import IsOperator, admin_router
from serving.admin.schemas import AdminState
from serving.admin.sessions.routes import router as sessions
from serving.admin.signing_keys.routes import router as signing_keys
from serving.admin.spools.routes import router as spools
from serving.services import ServicesDep

router = admin_router("state")
routers = (
    router, publications, gate_results, quarantine, lake_tables, rejected_messages, spools, forecast_cache, experiments,
    rate_plans, models, dag_runs, accounts, sessions, roles, api_keys, signing_keys, audit_log,
)  # fmt: skip


@router.get("/state", dependencies=[Depends(IsOperator)], summary="Get the state of the installation")
def state(services: ServicesDep, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> AdminState:
    """Return the newest publications and gate results, and the state of the spools and the prediction log."""
    return AdminState.model_validate(services.administration.state(limit), from_attributes=True)
