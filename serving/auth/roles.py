"""Roles, the rights of each role, and the identity of a caller."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The roles of accounts, as stored in `auth.account.role`."""

    ADMIN = "admin"
    LEAD = "lead"
    APP = "app"


class Right(StrEnum):
    """The rights of roles. Their values appear in error messages."""

    PREDICT = "request forecasts"
    READ_DATA = "read the data API"
    RECORD = "record check-ins"
    SEE_PAGES = "see the scorecard and the catalog"
    SEE_DOCS = "see the API's description"
    ADMINISTER = "administer"


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.LEAD: frozenset({Right.SEE_PAGES, Right.SEE_DOCS}),
    Role.APP: frozenset({Right.PREDICT, Right.READ_DATA, Right.RECORD, Right.SEE_DOCS}),
}


@dataclass(frozen=True)
class Identity:
    """An authenticated account."""

    username: str
    role: Role

    def may(self, right: Right) -> bool:
        """Return whether the role has a right."""
        return right in RIGHTS[self.role]


def roles_with(right: Right) -> str:
    """Return the names of the roles that have a right, for use in messages."""
    return " or ".join(role.value for role, rights in RIGHTS.items() if right in rights)
