"""Decide which accounts an administrator may manage, and how. No other module decides this.

| | administrator of the installation | administrator of an organisation |
|---|---|---|
| sees and changes | every account | the accounts of its organisation; others do not exist for it |
| assigns to | every organisation, and the installation | its organisation |
| chooses the plan | yes | no: plans concern the whole installation |

A caller may neither manage an account that has more rights than the caller's credential, nor give such rights.
Otherwise, an API key with the scope `manage-accounts` could make itself an administrator of the installation.
"""

from serving.auth.accounts import Account
from serving.auth.actor import Actor
from serving.auth.assignment import STANDARD_PLAN, Assignment
from serving.auth.roles import Identity, Role, rights_of
from serving.errors import NotAllowed, NotFound


def check_manages(administrator: Identity, username: str, account: Account | None) -> Account:
    """Return the account if the administrator may see it.

    Raises:
        NotFound: there is no such account, or it belongs to another organisation or to the installation.
    """
    if account is None or not sees(administrator, account):
        raise NotFound(f"There is no account {username!r}.")
    return account


def sees(administrator: Identity, account: Account) -> bool:
    """Return whether the administrator may see an account and what belongs to it."""
    return administrator.organisation_id in {None, account.organisation_id}


def check_assigns(administrator: Identity, assignment: Assignment) -> None:
    """Check that the administrator may create an account with an assignment, or change an account to it.

    Raises:
        NotAllowed: the administrator of an organisation names another organisation, or none.
    """
    if administrator.organisation_id not in {None, assignment.organisation_id}:
        raise NotAllowed(f"Your account manages only the organisation {administrator.organisation_id!r}.")


def check_gives(administrator: Identity, role: Role, organisation_id: str | None) -> None:
    """Check that the administrator has every right of a role, so that it may give it, and manage accounts that have it.

    Raises:
        NotAllowed: the administrator lacks one of these rights.
    """
    if missing := rights_of(role, organisation_id) - administrator.rights:
        scopes = ", ".join(sorted(right.scope for right in missing))
        raise NotAllowed(
            f"An account with the role {role.value} has rights that your credential lacks: {scopes}. Only a caller "
            "with these rights may manage such an account. Log in as an administrator, or use an API key with these "
            "scopes."
        )


def check_changes(actor: Actor, username: str, account: Account | None) -> Account:
    """Return the account if the actor may change it, its passwords, API keys and sessions.

    Raises:
        NotFound: there is no such account, or the actor may not see it.
        NotAllowed: the account has rights that the actor lacks.
    """
    if actor.identity is None:
        if account is None:
            raise NotFound(f"There is no account {username!r}.")
        return account
    found = check_manages(actor.identity, username, account)
    check_gives(actor.identity, found.role, found.organisation_id)
    return found


def check_becomes(actor: Actor, role: Role, assignment: Assignment, plan_before: str = STANDARD_PLAN) -> None:
    """Check that the actor may create an account with a role and an assignment, or change an account to them.

    Raises:
        NotAllowed: the actor may not assign the organisation, the role or the plan.
    """
    if actor.identity is None:
        return
    check_assigns(actor.identity, assignment)
    check_gives(actor.identity, role, assignment.organisation_id)
    if actor.identity.organisation_id is not None and assignment.plan != plan_before:
        raise NotAllowed(
            f"The plan stays {plan_before!r}: only an administrator of the installation chooses the plans of accounts."
        )
