"""Request bodies and responses of /admin/accounts."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from serving.auth.accounts import Account
from serving.auth.assignment import STANDARD_PLAN, Assignment
from serving.auth.roles import Role
from serving.schemas import Body, Id

EXAMPLE = {
    "username": "ada", "role": "lead", "organisation_id": "acme", "user_id": "user-7", "team_ids": ["team-3"],
    "plan": "standard", "created_at": "2026-11-01T08:00:00Z", "disabled_at": None,
    "password_changed_at": "2026-11-01T08:00:00Z", "password_expires_at": None,
}  # fmt: skip
DISABLED = {**EXAMPLE, "disabled_at": "2026-11-20T12:00:00Z"}
NEW = {
    **EXAMPLE, "password_expires_at": "2026-11-04T08:00:00Z", "one_time_password": "pL0-0t7v9wHq3uYx8dKa2RbM",
}  # fmt: skip
EXAMPLE_BODY = {"username": "ada", "role": "lead", "organisation_id": "acme", "team_ids": ["team-3"]}
EXAMPLE_CHANGE = {"role": "member", "team_ids": []}


def _role(value: object) -> object:
    """Accept the name of a role, which a strict model would only accept as a member of the enumeration."""
    return Role(value) if isinstance(value, str) and value in set(Role) else value


RoleName = Annotated[Role, BeforeValidator(_role)]
PlanName = Annotated[Id, Field(description="The rate plan. Only an administrator of the installation may choose it.")]
OrganisationId = Annotated[Id | None, Field(description="Null for every organisation of the installation.")]
UserId = Annotated[Id | None, Field(description="The organisation's user to whom the account belongs.")]
TeamIds = Annotated[list[Id], Field(max_length=100, description="The teams that the account leads.")]


class AccountRecord(BaseModel):
    """An account."""

    username: str
    role: Role
    organisation_id: str | None = Field(description="Null if the account sees every organisation.")
    user_id: str | None
    team_ids: list[str] = Field(description="The teams that the account leads.")
    plan: str
    created_at: datetime
    disabled_at: datetime | None
    password_changed_at: datetime
    password_expires_at: datetime | None = Field(
        description="Until when its one-time password can be replaced; null if it is not a one-time password."
    )


class AccountsResponse(BaseModel):
    """A page of accounts, sorted by user name."""

    accounts: list[AccountRecord]
    next_cursor: str | None


class OneTimePasswordResponse(AccountRecord):
    """An account with its one-time password, which no other response contains."""

    one_time_password: str = Field(
        description="The owner must use it within three days to choose another password: `POST /auth/password`, or the "
        "page `/password`. It cannot be used to log in."
    )


class AccountBody(Body):
    """A new account. Its password is generated."""

    username: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$")]
    role: RoleName
    organisation_id: Id | None = Field(
        default=None,
        description="Null for every organisation of the installation. If it is left out, the organisation of the "
        "caller.",
    )
    user_id: UserId = None
    team_ids: TeamIds = Field(default_factory=list)
    plan: PlanName = STANDARD_PLAN

    def assignment(self, callers_organisation_id: str | None) -> Assignment:
        """Return where the account belongs. If the request names no organisation, it is the caller's organisation."""
        is_given = "organisation_id" in self.model_fields_set
        organisation_id = self.organisation_id if is_given else callers_organisation_id
        return Assignment(organisation_id, self.user_id, tuple(self.team_ids), self.plan)


class AccountChangeBody(Body):
    """The fields of an account to change. Fields that are left out stay as they are."""

    role: RoleName | None = None
    organisation_id: OrganisationId = None
    user_id: UserId = None
    team_ids: TeamIds | None = None
    plan: PlanName | None = None

    def changes(self) -> dict[str, Any]:
        """Return the fields that the request contains."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        unchanged = {name for name in ("role", "team_ids", "plan") if given.get(name, "") is None}
        fields = {name: value for name, value in given.items() if name not in unchanged}
        return fields | ({"team_ids": tuple(fields["team_ids"])} if "team_ids" in fields else {})


def record_of(account: Account, **others: Any) -> dict[str, Any]:
    """Return the fields of a response about an account."""
    return vars(account) | {"team_ids": list(account.team_ids)} | others
