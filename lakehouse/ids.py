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
    """Return a UUIDv7 derived from a time and the given parts, so that a fact imported twice becomes one event."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return _uuid7(_milliseconds(at), digest[:10])


def natural_uuid(kind: str, natural_key: str) -> uuid.UUID:
    """Return a natural key as a UUID if it is one, otherwise a UUIDv5 of the kind and the key.

    The tables in schema `app` require UUIDs, but imported files may use any ids.
    """
    try:
        return uuid.UUID(natural_key)
    except ValueError:
        return uuid.uuid5(NAMESPACE, f"{kind}:{natural_key}")


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _uuid7(milliseconds: int, rest: bytes) -> uuid.UUID:
    value = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(rest, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
