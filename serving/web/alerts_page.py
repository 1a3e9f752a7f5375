"""The page of alerts, for operators: accounts of the installation that may read its health."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends
from starlette.responses import Response

from serving.alerts.firing import SHOWN
from serving.auth.authorization import RequireSession
from serving.auth.roles import Identity, Right
from serving.http.strict_requests import StrictRoute
from serving.services import ServicesDep
from serving.web.password_page import Renderer

router = APIRouter(include_in_schema=False, route_class=StrictRoute)
PATH = "/alerts"

Operator = Annotated[Identity, Depends(RequireSession(Right.READ_SYSTEM))]


@router.get(PATH)
def alerts(visitor: Operator, services: ServicesDep, pages: Renderer) -> Response:
    """Show the alerts that fire, since when, and what to do."""
    found, base = services.alerts.firing(), services.settings.runbooks_url
    runbooks = {each.runbook: runbook_link(each.runbook, base) for each in found.alerts if each.runbook}
    return pages.render(
        "alerts.html", visitor=visitor, path=PATH, found=found, runbooks=runbooks, most=SHOWN, now=datetime.now(UTC)
    )


def runbook_link(runbook: str, base: str) -> str | None:
    """Return the address of a runbook: its own, or its path behind `base`; None if neither is known."""
    if runbook.startswith(("https://", "http://")):
        return runbook
    return f"{base.rstrip('/')}/{quote(runbook.lstrip('/'))}" if base else None
