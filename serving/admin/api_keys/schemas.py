"""Request bodies and responses of /admin/api-keys."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from serving.schemas import Body, Line, Text

EXAMPLE = {
    "prefix": "8f3a1c0b9d2e", "username": "app", "name": "nightly export", "scopes": ["read-data"],
    "created_at": "2026-11-20T08:00:00Z", "created_by": "admin", "expires_at": "2027-02-18T08:00:00Z",
    "revoked_at": None, "last_used_at": None, "replaced_by": None,
}  # fmt: skip
NEW = {**EXAMPLE, "api_key": "okr_8f3a1c0b9d2e_<secret>"}
REVOKED = {**EXAMPLE, "revoked_at": "2026-11-21T08:00:00Z"}
EXAMPLE_BODY = {"name": "nightly export", "scopes": ["read-data"], "days": 90}
LONGEST_LIFE_DAYS = 3_650
LONGEST_OVERLAP_HOURS = 720


class ApiKeyRecord(BaseModel):
    """An API key without its secret."""

    prefix: str
    username: str = Field(description="The account whose rights the key has, as far as its scopes allow.")
    name: str
    scopes: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = Field(description="Null if it does not expire.")
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: str | None = Field(description="The prefix of the key that replaced it in a rotation.")


class ApiKeysResponse(BaseModel):
    """A page of API keys, newest first."""

    api_keys: list[ApiKeyRecord]
    next_cursor: str | None


class NewApiKeyResponse(ApiKeyRecord):
    """A new API key with its secret, which no other response contains."""

    api_key: str = Field(description="Send it as `Authorization: Bearer <key>`.")


class ApiKeyBody(Body):
    """A new API key."""

    name: Annotated[Line, StringConstraints(min_length=1, max_length=200)] = Field(description="What the key is for.")
    scopes: Annotated[list[Text], Field(min_length=1, max_length=50, description="Rights, as in GET /admin/roles.")]
    days: Annotated[int | None, Field(ge=1, le=LONGEST_LIFE_DAYS)] = Field(
        default=None, description="Days until the key expires. If omitted, it never does."
    )


class RotationBody(Body):
    """How long the old key stays valid."""

    overlap_hours: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP_HOURS)] = 24
