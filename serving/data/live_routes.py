"""GET /v1/system-health/stream: the live figures as server-sent events."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import StreamingResponse

from lakehouse.errors import RetryableError
from serving.auth.authorization import RequireTokenOrSession
from serving.auth.roles import Identity, Right
from serving.data.lists.documentation import PROBLEM
from serving.data.lists.examples import LIVE
from serving.errors import NotAllowed, NotSignedIn
from serving.http.strict_requests import StrictRoute
from serving.services import ServicesDep

router = APIRouter(prefix="/v1", tags=["data"], route_class=StrictRoute)

EXAMPLE = f"retry: 3000\n\nevent: figures\ndata: {json.dumps(LIVE)}\n\n"
EVENT = {
    "type": "object",
    "description": "`data` of the event `figures` is the object `live` of GET /v1/system-health, as JSON.",
    "required": ["event", "data"],
    "properties": {"event": {"enum": ["figures", "unavailable", "end"]}, "data": {"type": "string"}},
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": EVENT, "example": EXAMPLE}}},
    401: {"description": "There is no valid login.", "content": PROBLEM},
    403: {"description": "The account's role lacks the right.", "content": PROBLEM},
    503: {
        "description": "Too many clients follow the figures.",
        "content": PROBLEM,
    },
}
_login = RequireTokenOrSession(Right.READ_SYSTEM)


class FollowingLogin:
    """The login of a client that follows the figures, which can be checked again while the client is connected."""

    def __init__(self, request: Request, identity: Annotated[Identity, Depends(_login)]) -> None:
        self._request = request
        self.identity = identity

    def is_valid(self) -> bool:
        """Return False if the login has expired or was revoked. While it cannot be verified, return True."""
        try:
            _login.check(self._request)
        except (NotSignedIn, NotAllowed):
            return False
        except RetryableError:  # PostgreSQL or Redis, from which the figures come, is unavailable
            return True
        return True


@router.get(
    "/system-health/stream", summary="Follow the live figures", responses=RESPONSES, response_class=StreamingResponse
)
async def follow(services: ServicesDep, login: Annotated[FollowingLogin, Depends()]) -> StreamingResponse:
    """Send the live figures whenever they change, at most once a second, as server-sent events.

    The event `figures` contains the object `live` of `GET /v1/system-health`. The event `unavailable` means that Redis
    does not respond, and `end` that the login has expired or was revoked. Comments are sent as heartbeats.
    """
    account = login.identity.username
    services.live_stream.check_capacity(account)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx must not buffer the stream
    events = services.live_stream.events(account, login.is_valid)
    return StreamingResponse(events, headers=headers, media_type="text/event-stream")
