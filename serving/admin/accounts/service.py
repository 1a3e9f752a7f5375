"""The list of accounts, page by page. This module does not use FastAPI."""

from dataclasses import dataclass

from serving.admin.cursors import Cursors, Page
from serving.auth.accounts import Account, Accounts
from serving.auth.roles import Identity


@dataclass(frozen=True)
class After:
    """The sort key of the list: accounts after this one."""

    username: str


CURSORS = Cursors("/admin/accounts", After)


def page_of_accounts(accounts: Accounts, manager: Identity, limit: int, cursor: str | None) -> Page[Account]:
    """Return the accounts that the manager may see, by user name.

    Raises:
        ContractViolation: this list did not return the cursor.
    """
    after = CURSORS.decode(cursor)
    listed = sorted(accounts.listed(manager.organisation_id), key=lambda each: each.username)
    found = [each for each in listed if after is None or each.username > after.username]
    return CURSORS.page(found[: limit + 1], limit, lambda each: After(each.username))
