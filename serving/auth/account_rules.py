"""Which accounts an administrator may manage. The Admin API calls these checks; commands of the host need none."""

from serving.auth.account_changes import Assignment
from serving.auth.accounts import Account
from serving.auth.roles import Identity
from serving.errors import NotAllowed, NotFound


def check_manages(administrator: Identity, username: str, account: Account | None) -> Account:
    """Return the account if the administrator may see and change it.

    Raises:
        NotFound: there is no such account, or it belongs to another organisation or to the installation.
    """
    is_visible = account is not None and administrator.organisation_id in {None, account.organisation_id}
    if account is None or not is_visible:
        raise NotFound(f"There is no account {username!r}.")
    return account


def check_assigns(administrator: Identity, assignment: Assignment) -> None:
    """Check that the administrator may create an account with an assignment, or change an account to it.

    Raises:
        NotAllowed: the administrator of an organisation names another one, or none.
    """
    if administrator.organisation_id not in {None, assignment.organisation_id}:
        raise NotAllowed(f"Your account manages only the organisation {administrator.organisation_id!r}.")
