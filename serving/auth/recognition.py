"""Recognise a caller by the headers of a request, without blocking and without rejecting a request.

Only credentials that this worker has verified are recognised. For other decisions on access, see `authenticator`.
"""

import re
from collections.abc import Callable

from serving.auth.authenticator import Authenticator
from serving.auth.roles import Identity

# From the header Authorization to an identity that may have access: it was verified within the last minute.
Recognise = Callable[[bytes], Identity | None]


def recogniser(authenticator: Authenticator) -> Recognise:
    """Return a function from the header Authorization to an identity that may have access, or None.

    The function ignores cookies, because only Redis shows whether a session has ended.
    """

    def recognise(authorization: bytes) -> Identity | None:
        return authenticator.cached(authorization.decode("latin-1"))

    return recognise


def payer(authenticator: Authenticator, session_cookie: str) -> Callable[[bytes | None, bytes | None], Identity | None]:
    """Return a function from the headers Authorization and Cookie to the account whose rate limit applies, or None."""

    def recognise(authorization: bytes | None, cookie: bytes | None) -> Identity | None:
        session = cookie_value(cookie, session_cookie) if cookie else None
        return authenticator.known(None if authorization is None else authorization.decode("latin-1"), session)

    return recognise


def cookie_value(cookies: bytes, name: str) -> str | None:
    """Return the value of one of our cookies in a Cookie header, without unquoting it, which takes quadratic time."""
    found = re.search(rb"(?:^|;)[ \t]*" + re.escape(name.encode()) + rb"=([^;]*)", cookies)
    return found[1].strip().decode("latin-1") if found else None
