"""Revoked credentials, as far as this worker knows them.

PostgreSQL (auth.revocation) is authoritative. `CredentialWatch` reads new rows once a second, so a revocation reaches
every worker of every host within 2 s, even while Redis is unavailable. While PostgreSQL is unavailable, the last known
revocations apply.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from serving.publication_reader import Connection, Reader

PACKAGE = "serving.auth"
Kind = Literal["account", "family", "session", "api_key"]
# Rows are deleted after an hour (delete_expired_credentials.sql); access tokens live for 15 minutes.
REMEMBERED_S = 2 * 3600


@dataclass(frozen=True)
class Revocation:
    """A revocation: of all credentials of an account before a version, of a token family, a session or an API key."""

    kind: Kind
    subject: str
    credential_version: int | None = None


Listener = Callable[[Sequence[Revocation]], None]


class Revocations:
    """The revocations that concern access tokens, and listeners that drop cached credentials. Thread-safe."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._families: dict[str, float] = {}
        self._listeners: list[Listener] = []
        self._applying = threading.Lock()
        self._horizon = "0"

    def listen(self, listener: Listener) -> None:
        """Call `listener` for all later revocations."""
        self._listeners.append(listener)

    def is_revoked(self, username: str, credential_version: int, family: str) -> bool:
        """Return whether an access token is revoked."""
        return family in self._families or credential_version < self._versions.get(username, 0)

    def apply(self, revocations: Sequence[Revocation]) -> None:
        """Apply revocations in this worker. A revocation that was already applied has no further effect."""
        if not revocations:
            return
        now = time.monotonic()
        with self._applying:
            for each in revocations:
                if each.kind == "account":
                    self._versions[each.subject] = max(
                        each.credential_version or 0, self._versions.get(each.subject, 0)
                    )
                elif each.kind == "family":
                    self._families[each.subject] = now
            for family in [family for family, at in self._families.items() if at < now - REMEMBERED_S]:
                del self._families[family]
        for listener in self._listeners:
            listener(revocations)

    def poll(self, connection: Connection) -> None:
        """Read and apply the rows that other workers have written since the previous call."""
        rows = Reader(connection).rows(PACKAGE, "new_revocations", {"horizon": self._horizon})
        found = [Revocation(row["kind"], row["subject"], row["credential_version"]) for row in rows if row["kind"]]
        self.apply(found)
        # Every transaction before the horizon had ended, so it can write no further row.
        self._horizon = rows[0]["horizon"]


def revoke(connection: Connection, revocation: Revocation) -> None:
    """Write a revocation in the transaction of its cause. Call `Revocations.apply` after the commit."""
    values = {
        "kind": revocation.kind, "subject": revocation.subject, "credential_version": revocation.credential_version,
    }  # fmt: skip
    Reader(connection).rows(PACKAGE, "insert_revocation", values)
