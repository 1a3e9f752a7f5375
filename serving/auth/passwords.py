"""Password hashes: argon2id, and never more at once than the memory can bear."""

from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lakehouse.errors import RetryableError

MEMORY_KIB = 19 * 1024  # with two passes and one lane: the least that OWASP asks of argon2id, some 30 ms here
AT_ONCE = 4  # a flood of logins must queue instead of filling memory and cores
WAIT_S = 5.0


class Passwords:
    """Hashes and verifies passwords."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=MEMORY_KIB, parallelism=1)
        self._places = BoundedSemaphore(AT_ONCE)
        self._nobody = self._hasher.hash("nobody's password")

    def hash(self, password: str) -> str:
        """Return the hash to store."""
        return self._hasher.hash(password)

    def holds(self, password: str, stored: str | None) -> bool:
        """Whether a password fits a hash. Without one, the same work is done, so that time tells no user names.

        Raises:
            RetryableError: too many logins are waiting.
        """
        if not self._places.acquire(timeout=WAIT_S):
            raise RetryableError("Too many logins at once; try again in a few seconds.")
        try:
            return self._hasher.verify(stored or self._nobody, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._places.release()
