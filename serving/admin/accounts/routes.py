"""/admin/accounts: the functions of `okr account`. An organisation's administrator manages only its accounts."""

from typing import Annotated

from fastapi import Body

from serving.admin.accounts.schemas import (
    DISABLED,
    EXAMPLE,
    EXAMPLE_BODY,
    EXAMPLE_CHANGE,
    NEW,
    AccountBody,
    AccountChangeBody,
    AccountRecord,
    AccountsResponse,
    OneTimePasswordResponse,
    record_of,
)
from serving.admin.accounts.service import page_of_accounts
from serving.admin.managers import Manager, ManagingActor, Username
from serving.admin.routing import Limit, PageCursor, admin_router, described
from serving.auth.account_rules import check_manages
from serving.auth.accounts import Account
from serving.auth.passwords import generated_password
from serving.services import ServicesDep

router = admin_router("accounts")


@router.get("/accounts", **described("List accounts", {"accounts": [EXAMPLE], "next_cursor": None}))
def accounts(
    services: ServicesDep, manager: Manager, limit: Limit = 100, cursor: PageCursor = None
) -> AccountsResponse:
    """List accounts, sorted by user name."""
    page = page_of_accounts(services.auth.accounts, manager, limit, cursor)
    return AccountsResponse(accounts=[_record(each) for each in page.items], next_cursor=page.next_cursor)


@router.post("/accounts", **described("Create an account", NEW, 409, status=201))
def create(
    body: Annotated[AccountBody, Body(examples=[EXAMPLE_BODY])],
    services: ServicesDep,
    manager: Manager,
    actor: ManagingActor,
) -> OneTimePasswordResponse:
    """Create an account with a one-time password, which only this response contains.

    A repeated request is a conflict. If the response was lost, give the account another password.
    """
    password = generated_password()
    assignment = body.assignment(manager.organisation_id)
    created = services.auth.account_changes.create(
        body.username, body.role, password, assignment, actor, is_one_time=True
    )
    return OneTimePasswordResponse.model_validate(record_of(created, one_time_password=password))


@router.get("/accounts/{username}", **described("Get an account", EXAMPLE, 404))
def account(username: Username, services: ServicesDep, manager: Manager) -> AccountRecord:
    """Return an account."""
    return _record(check_manages(manager, username, services.auth.accounts.account(username)))


@router.patch("/accounts/{username}", **described("Change an account", EXAMPLE, 404))
def change(
    username: Username,
    body: Annotated[AccountChangeBody, Body(examples=[EXAMPLE_CHANGE])],
    services: ServicesDep,
    actor: ManagingActor,
) -> AccountRecord:
    """Change the role, organisation, user, teams or plan of an account. Its sessions and tokens end.

    If the account has these values already, nothing changes, and no session ends.
    """
    return _record(services.auth.account_changes.change(username, body.changes(), actor))


@router.post("/accounts/{username}/password", **described("Give an account a one-time password", NEW, 404))
def give_password(username: Username, services: ServicesDep, actor: ManagingActor) -> OneTimePasswordResponse:
    """Replace the password of an account with a one-time password, which only this response contains.

    Its sessions and tokens end. Its API keys stay valid. If the password was stolen, disable the account or revoke the
    keys.
    """
    password = generated_password()
    changed = services.auth.account_changes.change_password(username, password, actor, is_one_time=True)
    services.auth.sessions.end_all(username)
    return OneTimePasswordResponse.model_validate(record_of(changed, one_time_password=password))


@router.post("/accounts/{username}/disable", **described("Disable an account", DISABLED, 404))
def disable(username: Username, services: ServicesDep, actor: ManagingActor) -> AccountRecord:
    """Disable an account. Its sessions and tokens end, and its API keys are not valid while it is disabled.

    Accounts cannot be deleted, because the audit log names them.
    """
    disabled = services.auth.account_changes.disable(username, actor)
    services.auth.sessions.end_all(username)
    return _record(disabled)


@router.post("/accounts/{username}/enable", **described("Enable an account", EXAMPLE, 404))
def enable(username: Username, services: ServicesDep, actor: ManagingActor) -> AccountRecord:
    """Enable a disabled account. Its earlier sessions and tokens stay invalid."""
    return _record(services.auth.account_changes.enable(username, actor))


def _record(found: Account) -> AccountRecord:
    return AccountRecord.model_validate(record_of(found))
