"""Verified credentials in memory, until they expire or are revoked, and for at most a minute.

A hit costs a look-up in a dictionary. Only valid credentials are stored, so strangers cannot fill the cache.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from serving.auth.revocations import Revocation
from serving.auth.roles import Identity

MOST_ENTRIES = 20_000
LONGEST_S = 60.0
STALE_S = 15 * 60.0  # while a credential cannot be verified again: as long as an access token is valid


@dataclass(frozen=True, slots=True)
class Cached:
    """A verified credential. Until `usable_until`, it may be used while it cannot be verified again.

    Both are times of time.monotonic, which is not affected when the clock is set.
    """

    identity: Identity
    family: str | None
    valid_until: float
    usable_until: float


class CredentialCache:
    """A bounded cache by the text of the credential. Thread-safe."""

    def __init__(self, most_entries: int = MOST_ENTRIES) -> None:
        self._entries: dict[str, Cached] = {}
        self._most_entries = most_entries
        self._changing = threading.Lock()
        self.generation = 0
        """Increases with each revocation, after which no credential may be stored that was verified before it."""

    def get(self, credential: str) -> Identity | None:
        """Return the identity of a verified credential, or None."""
        found = self._entries.get(credential)
        if found is None or found.valid_until < time.monotonic():
            return None
        return found.identity

    def known(self, credential: str) -> Identity | None:
        """Return the identity of a credential that was verified within STALE_S, and is neither revoked nor expired.

        The credential may have to be verified again, so no access may be granted because of this result.
        """
        found = self._entries.get(credential)
        return None if found is None or found.usable_until < time.monotonic() else found.identity

    def forget(self, credential: str) -> None:
        """Remove a credential that turned out to be invalid."""
        with self._changing:
            self._entries.pop(credential, None)

    def put(
        self, credential: str, identity: Identity, *, expires_in_s: float, generation: int, family: str | None = None
    ) -> None:
        """Store a credential that was verified in a generation, unless there was a revocation since."""
        now = time.monotonic()
        entry = Cached(identity, family, now + min(expires_in_s, LONGEST_S), now + min(expires_in_s, STALE_S))
        with self._changing:
            if generation != self.generation:
                return
            self._entries.pop(credential, None)  # the order is the order of the verifications
            while len(self._entries) >= self._most_entries:
                del self._entries[next(iter(self._entries))]
            self._entries[credential] = entry

    def reuse(self, credential: str, pause_s: float) -> Identity | None:
        """Return the identity of a credential that cannot be verified now, and use it for `pause_s` more seconds.

        Return None if it was never verified, is revoked or has expired, or was verified too long ago.
        """
        with self._changing:
            found, now = self._entries.get(credential), time.monotonic()
            if found is None or found.usable_until < now:
                return None
            self._entries[credential] = replace(found, valid_until=min(now + pause_s, found.usable_until))
            return found.identity

    def drop(self, revocations: Sequence[Revocation]) -> None:
        """Remove the credentials that revocations concern."""
        subjects = {(each.kind, each.subject) for each in revocations}
        with self._changing:
            self.generation += 1
            dropped = [text for text, entry in self._entries.items() if not subjects.isdisjoint(_subjects_of(entry))]
            for text in dropped:
                del self._entries[text]


def _subjects_of(entry: Cached) -> list[tuple[str, str | None]]:
    kind, _, name = entry.identity.credential.partition(":")
    subjects: list[tuple[str, str | None]] = [("account", entry.identity.username), ("family", entry.family)]
    return [*subjects, ("api_key", name)] if kind == "key" else subjects
