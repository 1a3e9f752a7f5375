"""Rotate the keys that sign access tokens, and record it in the audit log. This module does not use FastAPI."""

from dataclasses import dataclass

from serving.auth.actor import Actor
from serving.auth.audit_log import AuditLog, Event
from serving.auth.signing_keys import SigningKey, SigningKeys
from serving.publication_reader import Connection


@dataclass(frozen=True)
class Rotation:
    """The newest key, and whether the rotation created it."""

    key: SigningKey
    is_changed: bool


class KeyRotation:
    """Rotates signing keys."""

    def __init__(self, keys: SigningKeys, audit: AuditLog) -> None:
        self._keys = keys
        self._audit = audit

    def rotate(self, actor: Actor) -> Rotation:
        """Create a key that starts signing in a minute. Until then, repeating the call changes nothing.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        created: list[SigningKey] = []

        def record(connection: Connection, key: SigningKey) -> None:
            details = {"signs_from": key.signs_from.isoformat(timespec="seconds")}
            event = Event("signing_key.rotated", actor.name, key.kid, address=actor.address, details=details)
            self._audit.record_in(connection, event)
            created.append(key)

        return Rotation(self._keys.rotate(record), bool(created))
