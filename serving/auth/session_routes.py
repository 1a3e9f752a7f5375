"""GET /auth/me, GET and DELETE /auth/sessions: the identity of the caller, and the logins of its account."""

from fastapi import APIRouter
from starlette.responses import Response

from serving.auth.actor import Actor
from serving.auth.authorization import Caller, ClientDep, LoggedIn
from serving.auth.schemas import Me, SessionId, SessionItem, SessionsResponse
from serving.errors import NotFound
from serving.http.strict_requests import StrictRoute
from serving.services import ServicesDep

router = APIRouter(prefix="/auth", tags=["auth"], route_class=StrictRoute)


@router.get("/me")
def me(caller: Caller) -> Me:
    """Return the identity of the caller, and what its credential may do."""
    return Me(
        username=caller.username,
        role=caller.role.value,
        organisation_id=caller.organisation_id,
        user_id=caller.user_id,
        team_ids=list(caller.team_ids),
        rights=caller.scopes,
        plan=caller.plan,
    )


@router.get("/sessions")
def sessions(caller: LoggedIn, services: ServicesDep) -> SessionsResponse:
    """List the active logins of the caller's account, by browsers and by apps."""
    items = [
        SessionItem(**vars(each), is_current=caller.credential == f"session:{each.session_id}")
        for each in services.auth.account_logins.listed(caller.username)
    ]
    return SessionsResponse(sessions=items)


@router.delete("/sessions/{session_id}", status_code=204)
def end_session(session_id: SessionId, caller: LoggedIn, client: ClientDep, services: ServicesDep) -> Response:
    """End one of the logins of the caller's account: a session immediately, tokens of an app within 2 seconds."""
    actor = Actor(caller.username, client.address)
    if not services.auth.account_logins.end(caller.username, session_id, actor):
        raise NotFound("Your account has no such login; GET /auth/sessions lists its logins.")
    return Response(status_code=204)


@router.delete("/sessions", status_code=204)
def end_all_sessions(caller: LoggedIn, client: ClientDep, services: ServicesDep) -> Response:
    """End every login of the caller's account, including the login of this request."""
    services.auth.account_changes.log_out_everywhere(caller.username, Actor(caller.username, client.address))
    services.auth.sessions.end_all(caller.username)
    return Response(status_code=204)
