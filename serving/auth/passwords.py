"""Hash and verify passwords with argon2id, with a limit on concurrent verifications."""

import secrets
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lakehouse.errors import RetryableError
from serving.errors import InvalidAccount

MEMORY_KIB = 19 * 1024  # OWASP's minimum for argon2id with two passes and one lane; takes about 30 ms
MAX_CONCURRENT = 4  # further logins wait, so a flood of logins cannot exhaust memory and CPU
WAIT_S = 5.0
SHORTEST = 12
LONGEST = 1024
GENERATED_BYTES = 18


class Passwords:
    """Hashes and verifies passwords."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=MEMORY_KIB, parallelism=1)
        self._slots = BoundedSemaphore(MAX_CONCURRENT)
        self._unknown_account = self._hasher.hash("password of an unknown account")

    def hash(self, password: str) -> str:
        """Return the hash to store."""
        return self._hasher.hash(password)

    def matches(self, password: str, stored: str | None) -> bool:
        """Return whether a password matches a stored hash.

        Verifying against None takes equally long, so the response time does not reveal which user names exist.

        Raises:
            RetryableError: too many logins are waiting.
        """
        if not self._slots.acquire(timeout=WAIT_S):
            raise RetryableError("Too many concurrent logins; try again in a few seconds.")
        try:
            return self._hasher.verify(stored or self._unknown_account, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._slots.release()


def check_password(username: str, password: str, field: str = "password") -> None:
    """Check that a new password, in a field of a request, is acceptable.

    Raises:
        InvalidAccount: it is too short, too long, or contains the user name and is not long enough without it.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidAccount(
            f"A password must have {SHORTEST} to {LONGEST} characters; this one has {len(password)}.", field
        )
    if username.casefold() in password.casefold() and len(password) < len(username) + SHORTEST:
        raise InvalidAccount(
            f"A password that contains the user name must have at least {SHORTEST} further characters.", field
        )


def generated_password() -> str:
    """Return a random password."""
    return secrets.token_urlsafe(GENERATED_BYTES)
