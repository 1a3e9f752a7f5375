"""Who a request comes from, and what each role may do."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The roles of accounts; `auth.account.role` holds one of them."""

    ADMIN = "admin"
    LEAD = "lead"
    APP = "app"


class Right(StrEnum):
    """What an account may do."""

    PREDICT = "ask for forecasts"
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
    """An account that proved who it is."""

    username: str
    role: Role

    def may(self, right: Right) -> bool:
        """Whether the role includes a right."""
        return right in RIGHTS[self.role]


def roles_with(right: Right) -> str:
    """Name the roles that include a right, for messages."""
    return " or ".join(role.value for role, rights in RIGHTS.items() if right in rights)
