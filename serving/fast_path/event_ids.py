"""Ids of events that are made in large numbers: UUIDv7 of 16 bytes (RFC 9562)."""

import os
import time

RANDOM_BYTES = 16_384


class EventIds:
    """Makes ids, with random bytes fetched in bulk. It is not thread-safe."""

    def __init__(self) -> None:
        self._random = b""
        self._at = 0

    def next(self) -> bytes:
        """Return a new id for now."""
        at = self._at
        if at + 10 > len(self._random):
            self._random, at = os.urandom(RANDOM_BYTES), 0
        self._at = at + 10
        rest = int.from_bytes(self._random[at : at + 10], "big")
        value = (time.time_ns() // 1_000_000) << 80 | rest & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62
        return value.to_bytes(16, "big")
