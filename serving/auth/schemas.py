"""Request bodies and responses of /auth."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path
from pydantic import BaseModel, Field, StringConstraints

from serving.schemas import Body, Text

# For a browser, the hash of its cookie; for an app, the UUID of its token family.
_SESSION_ID = r"^([0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
SessionId = Annotated[str, Path(pattern=_SESSION_ID, description="As in the list of sessions.")]


class Credentials(Body):
    """A user name and its password."""

    username: Annotated[Text, StringConstraints(min_length=1, max_length=128)]
    password: Annotated[Text, StringConstraints(min_length=1, max_length=1024)]


class LoginForm(Credentials):
    """The fields of the login form. `next` is the path to open after the login."""

    next: Annotated[Text, StringConstraints(max_length=2000)] = "/"


class PasswordBody(Credentials):
    """A user name, its current password (which may be a one-time password), and the new password."""

    new_password: Annotated[Text, StringConstraints(min_length=1, max_length=1024)]


class PasswordForm(PasswordBody):
    """The fields of the page /password."""

    again: Annotated[Text, StringConstraints(min_length=1, max_length=1024)]


class RefreshBody(Body):
    """A refresh token."""

    refresh_token: Annotated[Text, StringConstraints(min_length=1, max_length=200)]


class TokenResponse(BaseModel):
    """An OAuth 2 token response (RFC 6749, section 5.1). Send the token as `Authorization: Bearer <access_token>`."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 -- a token type, not a secret
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str = Field(description="Valid for one call of POST /auth/refresh, which returns the next one.")
    refresh_expires_in: int = Field(description="Seconds until the refresh token expires.")


class KeySet(BaseModel):
    """The public keys of access tokens, newest first (RFC 7517)."""

    keys: list[dict[str, str]]


class Me(BaseModel):
    """The identity of the caller."""

    username: str
    role: str
    organisation_id: str | None = Field(description="Null if the account sees every organisation.")
    user_id: str | None = Field(description="The user of the organisation to whom the account belongs.")
    team_ids: list[str] = Field(description="The teams that the account leads.")
    rights: list[str] = Field(description="What the credential may do, as names of API key scopes.")
    plan: str = Field(description="The plan whose request limits apply.")


class SessionItem(BaseModel):
    """An active login of a browser (a session) or of an app (its refresh token)."""

    session_id: str
    kind: Literal["browser", "app"]
    started_at: datetime
    expires_at: datetime
    client: str | None = Field(description="The browser, as it described itself at the login; null for apps.")
    is_current: bool = Field(description="Whether this request uses this login. Always false for apps.")


class SessionsResponse(BaseModel):
    """The logins of the caller's account, newest first."""

    sessions: list[SessionItem]
