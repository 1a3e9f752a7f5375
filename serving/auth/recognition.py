"""Recognise a caller by the headers of a request, without blocking and without refusing anybody."""

from collections.abc import Callable

from starlette.requests import cookie_parser

from serving.auth.roles import Identity
from serving.auth.tokens import Audience, Tokens
from serving.errors import NotSignedIn

COOKIE = "okr_session"


def recogniser(tokens: Tokens) -> Callable[[bytes | None, bytes | None], Identity | None]:
    """Return a function from the headers Authorization and Cookie to an identity; None if no credential is valid."""

    def recognise(authorization: bytes | None, cookie: bytes | None) -> Identity | None:
        try:
            if authorization is not None:
                scheme, _, token = authorization.decode("latin-1").partition(" ")
                return tokens.verify(token.strip(), Audience.API) if scheme.lower() == "bearer" else None
            session = cookie_parser(cookie.decode("latin-1")).get(COOKIE) if cookie else None
            return tokens.verify(session, Audience.PAGE) if session else None
        except NotSignedIn:
            return None

    return recognise
