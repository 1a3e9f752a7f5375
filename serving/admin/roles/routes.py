"""/admin/roles: the roles of accounts and their rights, as `okr account roles` shows them."""

from fastapi import Depends
from pydantic import BaseModel, Field

from serving.admin.routing import admin_router, described
from serving.auth.authorization import RequireToken
from serving.auth.roles import OF_THE_INSTALLATION, RIGHTS, Right, Role

router = admin_router("accounts")
EXAMPLE = {
    "role": "service",
    "rights": [
        {"scope": "predict", "meaning": "request forecasts", "is_of_installation": False},
        {"scope": "read-system", "meaning": "read the health and metrics of the installation",
         "is_of_installation": True},
    ],
}  # fmt: skip


class RightRecord(BaseModel):
    """A right of a role."""

    scope: str = Field(description="Its name in the scopes of API keys.")
    meaning: str
    is_of_installation: bool = Field(description="Whether only accounts without an organisation can have it.")


class RoleRecord(BaseModel):
    """A role and its rights."""

    role: Role
    rights: list[RightRecord]


class RolesResponse(BaseModel):
    """All roles."""

    roles: list[RoleRecord]


@router.get(
    "/roles",
    dependencies=[Depends(RequireToken(Right.MANAGE_ACCOUNTS))],
    **described("List roles and their rights", {"roles": [EXAMPLE]}),
)
def roles() -> RolesResponse:
    """List the roles with their rights. An API key has only the rights of its account that its scopes include."""
    return RolesResponse(roles=[RoleRecord(role=role, rights=_rights(role)) for role in Role])


def _rights(role: Role) -> list[RightRecord]:
    return [
        RightRecord(scope=right.scope, meaning=right.value, is_of_installation=right in OF_THE_INSTALLATION)
        for right in Right
        if right in RIGHTS[role]
    ]
