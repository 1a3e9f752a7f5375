"""Bodies and answers of /auth."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from serving.schemas import Body, Text


class Credentials(Body):
    """A user name and its password."""

    username: Annotated[Text, StringConstraints(min_length=1, max_length=128)]
    password: Annotated[Text, StringConstraints(min_length=1, max_length=1024)]


class LoginForm(Credentials):
    """The fields of the login page's form; `next` is the path to go to afterwards."""

    next: Annotated[Text, StringConstraints(max_length=2000)] = "/"


class TokenResponse(BaseModel):
    """OAuth 2 (RFC 6749, section 5.1): send it as `Authorization: Bearer <access_token>`."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 -- a kind, no secret
    expires_in: int = Field(description="Seconds until it expires.")
