"""/admin/accounts/{username}/sessions: the functions of `okr account logins` and `okr account logout`."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from serving.admin.accounts.schemas import EXAMPLE as ACCOUNT
from serving.admin.accounts.schemas import AccountRecord, record_of
from serving.admin.managers import Manager, ManagingActor, Username
from serving.admin.routing import admin_router, described
from serving.auth.account_rules import check_manages
from serving.auth.schemas import SessionId
from serving.errors import NotFound
from serving.services import ServicesDep

router = admin_router("accounts")
EXAMPLE = {
    "session_id": "3f0c9a52-7f1d-4c39-9d37-0f6a8f0d3c11", "kind": "app", "started_at": "2026-11-20T08:00:00Z",
    "expires_at": "2026-11-27T08:00:00Z", "client": None,
}  # fmt: skip


class SessionRecord(BaseModel):
    """An active login of a browser (a session) or of an app (its refresh tokens)."""

    session_id: str = Field(description="It cannot be used to log in.")
    kind: Literal["browser", "app"]
    started_at: datetime
    expires_at: datetime
    client: str | None = Field(description="The browser, as it described itself; null for apps.")


class SessionsOfAccountResponse(BaseModel):
    """The active logins of an account, newest first."""

    sessions: list[SessionRecord]


class SessionEndedResponse(BaseModel):
    """The login that has ended."""

    session_id: str


@router.get(
    "/accounts/{username}/sessions", **described("List the sessions of an account", {"sessions": [EXAMPLE]}, 404)
)
def sessions(username: Username, services: ServicesDep, manager: Manager) -> SessionsOfAccountResponse:
    """List the active logins of an account, of browsers and apps; at most 250."""
    check_manages(manager, username, services.auth.accounts.account(username))
    found = services.auth.account_logins.listed(username)
    return SessionsOfAccountResponse(sessions=[SessionRecord(**vars(each)) for each in found])


@router.delete(
    "/accounts/{username}/sessions/{session_id}",
    **described("End a session of an account", {"session_id": EXAMPLE["session_id"]}, 404),
)
def end(username: Username, session_id: SessionId, services: ServicesDep, actor: ManagingActor) -> SessionEndedResponse:
    """End a login. A session ends immediately; every worker rejects the tokens of an app within 2 seconds."""
    if not services.auth.account_logins.end(username, session_id, actor):
        raise NotFound(f"The account {username!r} has no such login; GET .../sessions lists its logins.")
    return SessionEndedResponse(session_id=session_id)


@router.post("/accounts/{username}/logout", **described("Log an account out everywhere", ACCOUNT, 404))
def log_out(username: Username, services: ServicesDep, actor: ManagingActor) -> AccountRecord:
    """End every session and token of an account. Its API keys stay valid."""
    account = services.auth.account_changes.log_out_everywhere(username, actor)
    services.auth.sessions.end_all(username)
    return AccountRecord.model_validate(record_of(account))
