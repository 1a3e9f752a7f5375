"""GET /metrics: the metrics of all workers of this host, for Prometheus."""

import secrets

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from serving.auth.authenticator import bearer_of
from serving.errors import NotSignedIn
from serving.http.strict_requests import StrictRoute
from serving.services import ServicesDep

router = APIRouter(tags=["health"], route_class=StrictRoute)


async def _may_read_metrics(request: Request, services: ServicesDep) -> None:
    """Raise NotSignedIn unless the request has the token for metrics.

    The address is no proof: what a proxy on this host forwards comes from a loopback address, too.
    """
    token = services.settings.metrics_token.get_secret_value()
    given = bearer_of(request.headers.get("authorization", "")) or ""
    if not token or not secrets.compare_digest(given.encode(), token.encode()):
        raise NotSignedIn("The metrics require the token that is set by OKR_METRICS_TOKEN, as a bearer token.")


@router.get("/metrics", include_in_schema=False, dependencies=[Depends(_may_read_metrics)])
async def prometheus_metrics(services: ServicesDep) -> Response:
    """Return the metrics of all workers of this host for Prometheus."""
    return Response(await services.metrics_page(), media_type=CONTENT_TYPE_LATEST)
