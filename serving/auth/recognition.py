"""Recognise a caller by the headers of a request, without blocking and without refusing anybody.

Only credentials that this worker has verified within the last minute are recognised. For decisions on access, see
`authenticator`.
"""

from collections.abc import Callable

from serving.auth.authenticator import Authenticator
from serving.auth.roles import Identity


def recogniser(
    authenticator: Authenticator, session_cookie: str
) -> Callable[[bytes | None, bytes | None], Identity | None]:
    """Return a function from the headers Authorization and Cookie to an identity; None if none is recognised."""

    def recognise(authorization: bytes | None, cookie: bytes | None) -> Identity | None:
        if authorization is not None:
            return authenticator.cached(authorization.decode("latin-1"))
        session = cookie_value(cookie, session_cookie) if cookie else None
        return authenticator.recent_session(session) if session else None

    return recognise


def cookie_value(cookies: bytes, name: str) -> str | None:
    """Return the value of a cookie of ours in a Cookie header. It needs no unquoting, which takes quadratic time."""
    wanted = name.encode()
    for pair in cookies.split(b";"):
        found, _, value = pair.strip().partition(b"=")
        if found == wanted:
            return value.decode("latin-1")
    return None
