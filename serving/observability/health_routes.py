"""GET /livez, /readyz and /health."""

from typing import Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from lakehouse.errors import RetryableError
from serving.auth.authorization import session_cookie
from serving.auth.roles import Right
from serving.errors import NotSignedIn
from serving.http.strict_requests import StrictRoute
from serving.observability.health import State
from serving.services import Services, ServicesDep

router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Return 200 while this worker can answer at all. A supervisor restarts it if it cannot."""
    return {"status": "alive"}


class ReadyState(BaseModel):
    """Whether the worker may receive requests, and what it still waits for."""

    status: Literal["ready", "not_ready"]
    missing: list[str] = Field(default_factory=list)


class HealthState(BaseModel):
    """The health of the service and, with the right `read-system`, the state of each dependency."""

    status: State
    checks: dict[str, dict[str, Any]] = Field(default_factory=dict)


def _unavailable(model: type[BaseModel], description: str, example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"example": example}}
    return {503: {"model": model, "description": description, "content": content}}


@router.get(
    "/readyz",
    response_model=ReadyState,
    responses=_unavailable(ReadyState, "The worker is not ready.", {"status": "not_ready", "missing": ["warehouse"]}),
)
async def readyz(services: ServicesDep) -> JSONResponse:
    """Return 200 if this worker may receive requests, or 503 with what it still waits for."""
    missing = services.readiness.missing()
    body: dict[str, Any] = {"status": "not_ready", "missing": missing} if missing else {"status": "ready"}
    return _probe_response(body, is_available=not missing)


@router.get(
    "/health",
    response_model=HealthState,
    responses=_unavailable(HealthState, "The warehouse is unavailable.", {"status": "unavailable"}),
)
async def health(request: Request, services: ServicesDep) -> JSONResponse:
    """Return the health of the service; with the right `read-system`, also the state of each dependency.

    The status code is 503 only if the warehouse is unavailable.
    """
    state, checks = await services.health_check()
    sees_checks = await _may_read_system(request, services)
    body: dict[str, Any] = {"status": state, "checks": checks} if sees_checks else {"status": state}
    return _probe_response(body, is_available=state != "unavailable")


def _probe_response(body: dict[str, Any], *, is_available: bool) -> JSONResponse:
    if is_available:
        return JSONResponse(body)
    return JSONResponse(body, status_code=503, headers={"Retry-After": "1"})


async def _may_read_system(request: Request, services: Services) -> bool:
    """Return whether the caller sees the checks, which describe all organisations of the installation.

    Under overload, this must not wait for a thread of the requests.
    """
    authorization, cookie = (request.headers.get(name) for name in ("authorization", "cookie"))
    if authorization is None and cookie is None:
        return False
    if authorization is not None and (known := services.recognise(authorization.encode("latin-1"))) is not None:
        return known.may(Right.READ_SYSTEM)
    return await to_thread.run_sync(_has_right, request, services, limiter=request.app.state.threads_of_health)


def _has_right(request: Request, services: Services) -> bool:
    try:
        identity = services.auth.authenticator.authenticate(
            request.headers.get("authorization"), session_cookie(request, services)
        )
    except (NotSignedIn, RetryableError):
        return False
    return identity.may(Right.READ_SYSTEM)
