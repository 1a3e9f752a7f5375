"""The hash chain of the audit log: what is hashed, in which form, and how a row is sealed.

Each row contains the SHA-256 of the row before it and of its own content, so a changed, removed or inserted row breaks
the chain. Anyone who can write to the database could recompute the whole chain. The seal prevents this, because it is
an HMAC with a key that is not in the database.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

FIRST_HASH = bytes(32)

Details = Mapping[str, str | int | bool | list[str] | None]


@dataclass(frozen=True)
class Entry:
    """The content of a row of auth.audit_event."""

    event_id: int
    occurred_at: datetime
    actor: str
    action: str
    subject: str
    outcome: str
    address: str | None
    details: Details


class Chain:
    """Computes hashes and seals with the installation's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = hashlib.sha256(b"audit seal " + key).hexdigest()[:16]

    @staticmethod
    def hash(entry: Entry, previous_hash: bytes) -> bytes:
        """Return the hash of a row, which depends on all rows before it."""
        content = [
            entry.event_id, entry.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"), entry.actor,
            entry.action, entry.subject, entry.outcome, entry.address, dict(entry.details),
        ]  # fmt: skip
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(previous_hash + text.encode()).digest()

    def seal(self, row_hash: bytes) -> bytes:
        """Return the seal of a row's hash."""
        return hmac.digest(self._key, row_hash, "sha256")

    def is_sealed(self, row_hash: bytes, seal: bytes) -> bool:
        """Return whether a seal was made with this chain's key."""
        return hmac.compare_digest(self.seal(row_hash), seal)
