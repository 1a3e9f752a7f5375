"""Roles, the rights of each role, and the identity of a caller. `visibility` decides which objects an identity sees."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The roles of accounts, as stored in `auth.account.role`."""

    VIEWER = "viewer"
    MEMBER = "member"
    LEAD = "lead"
    ADMIN = "admin"
    SERVICE = "service"

    @classmethod
    def _missing_(cls, value: object) -> "Role | None":
        return cls.SERVICE if value == "app" else None  # written by processes from before revision 0040


class Right(StrEnum):
    """The rights of roles. Their values appear in error messages, and `scope` is their name in API keys."""

    PREDICT = "request forecasts"
    READ_DATA = "read the data API"
    RECORD = "record check-ins"
    DEFINE = "define cycles, teams, users, objectives and key results"
    READ_SYSTEM = "read the health and metrics of the installation"
    REPORT_ALERTS = "report alerts"
    SEE_PAGES = "see the scorecard"
    SEE_SITES = "see the dbt docs and the Data Docs"
    SEE_DOCS = "see the API's description"
    MANAGE_ACCOUNTS = "manage accounts and API keys"
    ADMINISTER = "administer the installation"

    @property
    def scope(self) -> str:
        """The right's name in the scopes of API keys, e.g. `read-data`."""
        return self.name.lower().replace("_", "-")


SCOPES = {right.scope: right for right in Right}

_READ = frozenset({Right.PREDICT, Right.READ_DATA, Right.SEE_DOCS})
_SEE = frozenset({Right.SEE_PAGES, Right.SEE_SITES})
RIGHTS: dict[Role, frozenset[Right]] = {
    Role.VIEWER: _READ | _SEE,
    Role.MEMBER: _READ | _SEE | {Right.RECORD},
    Role.LEAD: _READ | _SEE | {Right.RECORD, Right.DEFINE},
    Role.ADMIN: frozenset(Right),
    Role.SERVICE: _READ | {Right.RECORD, Right.DEFINE, Right.READ_SYSTEM, Right.REPORT_ALERTS},
}
# No account of an organisation has these rights, because they concern every organisation of the installation.
OF_THE_INSTALLATION = frozenset({Right.ADMINISTER, Right.READ_SYSTEM, Right.REPORT_ALERTS, Right.SEE_SITES})


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated account, with the rights of the credential that it used.

    `organisation_id` is None for accounts that see every organisation of the installation. `user_id` is the user of the
    organisation to whom the account belongs, and `team_ids` are the teams that it leads. `credential` is
    `session:<id>`, `token:<jti>` or `key:<prefix>`.
    """

    username: str
    role: Role
    organisation_id: str | None
    user_id: str | None
    team_ids: tuple[str, ...]
    rights: frozenset[Right]
    plan: str
    credential: str

    @property
    def scopes(self) -> list[str]:
        """Return the names of the rights, sorted."""
        return sorted(right.scope for right in self.rights)

    def may(self, right: Right) -> bool:
        """Return whether the identity has a right."""
        return right in self.rights


def rights_of(role: Role, organisation_id: str | None, scopes: Iterable[str] | None = None) -> frozenset[Right]:
    """Return the rights of a role in an organisation, narrowed by the scopes of an API key if there are any.

    Unknown scopes give no right, so a key that a later release created has fewer rights in this one.
    """
    rights = RIGHTS[role] if organisation_id is None else RIGHTS[role] - OF_THE_INSTALLATION
    return rights if scopes is None else rights & {SCOPES[scope] for scope in scopes if scope in SCOPES}


def roles_with(right: Right) -> str:
    """Return the names of the roles that have a right, for use in messages."""
    return " or ".join(role.value for role, rights in RIGHTS.items() if right in rights)
