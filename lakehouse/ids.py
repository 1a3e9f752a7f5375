"""Identifiers: UUIDv7 for events (RFC 9562, section 5.7) and stable UUIDs for natural keys."""

import hashlib
import os
import time
import uuid
from datetime import datetime

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "okr-lakehouse")


def uuid7(at: datetime | None = None) -> uuid.UUID:
    """Return a new UUIDv7 for the time `at` (zone-aware, default: now)."""
    return _uuid7(_milliseconds(at) if at else time.time_ns() // 1_000_000, os.urandom(10))


def uuid7_of(at: datetime, *parts: str) -> uuid.UUID:
    """Return a UUIDv7 derived from a time and from content, so that a fact that is imported twice becomes one event."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return _uuid7(_milliseconds(at), digest[:10])


def natural_uuid(kind: str, key: str) -> uuid.UUID:
    """Return `key` if it is a UUID, else a UUIDv5 of kind and key. The app.* tables require UUIDs, but files do not."""
    try:
        return uuid.UUID(key)
    except ValueError:
        return uuid.uuid5(NAMESPACE, f"{kind}:{key}")


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _uuid7(milliseconds: int, rest: bytes) -> uuid.UUID:
    value = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(rest, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
