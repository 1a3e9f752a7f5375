"""/admin/accounts. The administrator of an organisation sees and changes only its accounts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path
from pydantic import BaseModel, Field

from serving.admin.cursors import Cursors
from serving.admin.routing import Limit, PageCursor, admin_router, described
from serving.auth.account_changes import Actor
from serving.auth.account_rules import check_manages
from serving.auth.accounts import Account
from serving.auth.authorization import ClientDep, RequireToken
from serving.auth.known_clients import Client
from serving.auth.roles import Identity, Right, Role
from serving.schemas import Id
from serving.services import Services, ServicesDep

router = admin_router("accounts")
Manager = Annotated[Identity, Depends(RequireToken(Right.MANAGE_ACCOUNTS))]
Username = Annotated[Id, Path(description="The user name.")]
EXAMPLE = {
    "username": "ada", "role": "lead", "organisation_id": "acme", "user_id": "user-7", "team_ids": ["team-3"],
    "plan": "standard", "created_at": "2026-11-01T08:00:00Z", "disabled_at": None,
    "password_changed_at": "2026-11-01T08:00:00Z",
}  # fmt: skip
DISABLED = {**EXAMPLE, "disabled_at": "2026-11-20T12:00:00Z"}


@dataclass(frozen=True)
class After:
    """The sort key of the list: accounts after this one."""

    username: str


CURSORS = Cursors("/admin/accounts", After)


class AccountRecord(BaseModel):
    """An account."""

    username: str
    role: Role
    organisation_id: str | None = Field(description="Null if it sees every organisation.")
    user_id: str | None
    team_ids: list[str] = Field(description="The teams that the account leads.")
    plan: str
    created_at: datetime
    disabled_at: datetime | None
    password_changed_at: datetime


class AccountsResponse(BaseModel):
    """A page of accounts by user name."""

    accounts: list[AccountRecord]
    next_cursor: str | None


@router.get("/accounts", **described("List accounts", {"accounts": [EXAMPLE], "next_cursor": None}))
def accounts(
    services: ServicesDep, manager: Manager, limit: Limit = 100, cursor: PageCursor = None
) -> AccountsResponse:
    """List accounts by user name."""
    after = CURSORS.decode(cursor)
    listed = sorted(services.auth.accounts.listed(manager.organisation_id), key=lambda each: each.username)
    found = [each for each in listed if after is None or each.username > after.username]
    page = CURSORS.page(found[: limit + 1], limit, lambda each: After(each.username))
    return AccountsResponse(accounts=[_record(each) for each in page.items], next_cursor=page.next_cursor)


@router.get("/accounts/{username}", **described("Get an account", EXAMPLE, 404))
def account(username: Username, services: ServicesDep, manager: Manager) -> AccountRecord:
    """Return an account."""
    return _record(check_manages(manager, username, services.auth.accounts.account(username)))


@router.post("/accounts/{username}/disable", **described("Disable an account", DISABLED, 404))
def disable(username: Username, services: ServicesDep, manager: Manager, client: ClientDep) -> AccountRecord:
    """Disable an account. Its sessions and tokens end, and its API keys are not valid while it is disabled."""
    return _change(services, services.auth.account_changes.disable, username, manager, client)


@router.post("/accounts/{username}/enable", **described("Enable an account", EXAMPLE, 404))
def enable(username: Username, services: ServicesDep, manager: Manager, client: ClientDep) -> AccountRecord:
    """Enable a disabled account. Its earlier sessions and tokens stay invalid."""
    return _change(services, services.auth.account_changes.enable, username, manager, client)


@router.post("/accounts/{username}/logout", **described("Log an account out everywhere", EXAMPLE, 404))
def log_out(username: Username, services: ServicesDep, manager: Manager, client: ClientDep) -> AccountRecord:
    """End every session and token of an account."""
    return _change(services, services.auth.account_changes.log_out_everywhere, username, manager, client)


def _change(
    services: Services, change: Callable[[str, Actor], Account], username: str, manager: Identity, client: Client
) -> AccountRecord:
    check_manages(manager, username, services.auth.accounts.account(username))
    return _record(change(username, Actor(manager.username, client.address)))


def _record(found: Account) -> AccountRecord:
    return AccountRecord.model_validate(vars(found) | {"team_ids": list(found.team_ids)})
