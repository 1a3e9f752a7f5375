"""/admin/forecast-cache."""

from fastapi import Depends
from pydantic import BaseModel, Field

from serving.admin.routing import IsOperator, OperatorDep, admin_router, described
from serving.services import ServicesDep

router = admin_router("forecast cache")
ENTRY = {"key": "okr:forecasts:v3:41@20261120T121000.000000:7", "bytes": 81_920, "expires_in_s": 640}


class CacheEntryRecord(BaseModel):
    """The forecasts of a publication and model version in Redis."""

    key: str
    bytes: int = Field(description="Compressed size.")
    expires_in_s: int


class ForecastCacheResponse(BaseModel):
    """What is cached."""

    entries: list[CacheEntryRecord]


class ClearedResponse(BaseModel):
    """The number of deleted entries."""

    deleted: int


@router.get(
    "/forecast-cache",
    dependencies=[Depends(IsOperator)],
    **described("Get the state of the forecast cache", {"entries": [ENTRY]}),
)
def entries(services: ServicesDep) -> ForecastCacheResponse:
    """List the forecasts that the workers share in Redis, one entry per publication and model version."""
    found = services.admin.forecast_cache.entries()
    return ForecastCacheResponse.model_validate({"entries": found}, from_attributes=True)


@router.delete("/forecast-cache", **described("Clear the forecast cache", {"deleted": 1}))
def clear(services: ServicesDep, operator: OperatorDep) -> ClearedResponse:
    """Delete the cached forecasts. They are computed again when a worker needs them.

    Workers keep the forecasts of the current publication in their memory, so requests do not become slower.
    """
    return ClearedResponse(deleted=services.admin.forecast_cache.clear(operator))
