"""GET /auth/me, GET and DELETE /auth/sessions: what a caller is, and its logins."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from serving.auth.account_changes import Actor
from serving.auth.authorization import Caller, ClientDep, LoggedIn
from serving.auth.schemas import Me, SessionItem, SessionsResponse
from serving.errors import NotFound
from serving.services import ServicesDep
from serving.strict_requests import StrictRoute

router = APIRouter(prefix="/auth", tags=["auth"], route_class=StrictRoute)

SessionId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36,64}$", description="As in GET /auth/sessions.")]


@router.get("/me")
def me(caller: Caller) -> Me:
    """Return the identity of the caller, and what its credential may do."""
    return Me(
        username=caller.username,
        role=caller.role.value,
        organisation_id=caller.organisation_id,
        user_id=caller.user_id,
        team_ids=list(caller.team_ids),
        rights=sorted(right.scope for right in caller.rights),
        plan=caller.plan,
    )


@router.get("/sessions")
def sessions(caller: LoggedIn, services: ServicesDep) -> SessionsResponse:
    """List the logins of the caller's account that are not over, by browsers and by apps."""
    items = [
        SessionItem(
            session_id=each.session_id, kind="browser", started_at=each.started_at, expires_at=each.expires_at,
            client=each.client, is_current=caller.credential == f"session:{each.session_id}",
        )
        for each in services.auth.sessions.listed(caller.username)
    ]  # fmt: skip
    items += [
        SessionItem(
            session_id=each.family, kind="app", started_at=each.logged_in_at, expires_at=each.expires_at, client=None,
            is_current=False,
        )
        for each in services.auth.refresh_tokens.listed(caller.username)
    ]  # fmt: skip
    return SessionsResponse(sessions=sorted(items, key=lambda item: item.started_at, reverse=True))


@router.delete("/sessions/{session_id}", status_code=204)
def end_session(session_id: SessionId, caller: LoggedIn, client: ClientDep, services: ServicesDep) -> Response:
    """End one of the logins of the caller's account, immediately."""
    auth = services.auth
    is_app = "-" in session_id
    if is_app and auth.refresh_tokens.revoke(session_id, caller.username, client.address):
        return Response(status_code=204)
    if not is_app and auth.sessions.end(caller.username, session_id):
        return Response(status_code=204)
    raise NotFound("Your account has no such session; GET /auth/sessions lists them.")


@router.delete("/sessions", status_code=204)
def end_all_sessions(caller: LoggedIn, client: ClientDep, services: ServicesDep) -> Response:
    """End every login of the caller's account, also the one of this request."""
    services.auth.account_changes.log_out_everywhere(caller.username, Actor(caller.username, client.address))
    services.auth.sessions.end_all(caller.username)
    return Response(status_code=204)
