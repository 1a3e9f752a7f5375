"""Keep accounts in memory, because every request with a session reads its account."""

import threading
import time
from collections.abc import Callable, Sequence

from serving.auth.accounts import Account
from serving.auth.revocations import Revocation

MOST_ENTRIES = 10_000
LONGEST_S = 60.0


class AccountCache:
    """Keeps accounts by user name until they change, but at most for a minute. Thread-safe."""

    def __init__(self, find: Callable[[str], Account | None]) -> None:
        self._find = find
        self._accounts: dict[str, tuple[Account, float]] = {}
        self._changing = threading.Lock()
        self._generation = 0

    def find(self, username: str) -> Account | None:
        """Return an account, or None. It may be disabled.

        Raises:
            RetryableError: the account is not in memory, and PostgreSQL is unavailable.
        """
        known = self._accounts.get(username)
        if known is not None and known[1] >= time.monotonic():
            return known[0]
        generation = self._generation
        account = self._find(username)
        if account is not None:
            with self._changing:
                if len(self._accounts) >= MOST_ENTRIES:
                    self._accounts.clear()
                if generation == self._generation:  # otherwise, the account may have changed since it was read
                    self._accounts[username] = (account, time.monotonic() + LONGEST_S)
        return account

    def drop(self, revocations: Sequence[Revocation]) -> None:
        """Remove the accounts that have changed."""
        with self._changing:
            self._generation += 1
            for each in revocations:
                if each.kind == "account":
                    self._accounts.pop(each.subject, None)
