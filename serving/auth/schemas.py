"""Request bodies and responses of /auth."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from serving.schemas import Body, Text


class Credentials(Body):
    """A user name and its password."""

    username: Annotated[Text, StringConstraints(min_length=1, max_length=128)]
    password: Annotated[Text, StringConstraints(min_length=1, max_length=1024)]


class LoginForm(Credentials):
    """The fields of the login form. `next` is the path to open after the login."""

    next: Annotated[Text, StringConstraints(max_length=2000)] = "/"


class TokenResponse(BaseModel):
    """An OAuth 2 token response (RFC 6749, section 5.1). Send the token as `Authorization: Bearer <access_token>`."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 -- a token type, not a secret
    expires_in: int = Field(description="Seconds until the token expires.")
