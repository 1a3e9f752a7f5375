"""Map a unit (a key result, team or account) to a number from 0 to 1, which is the same on every worker and host."""

import hashlib


def unit_fraction(salt: str, unit_id: str) -> float:
    """Return a number in [0, 1): the first 8 bytes of SHA-256 of `<salt>/<unit_id>`, big-endian, over 2^64.

    Only the salt and the id determine it, so a unit stays in its arm after restarts, on every worker, and when other
    units are added. (Python's `hash` differs from process to process.)
    """
    digest = hashlib.sha256(f"{salt}/{unit_id}".encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # 53 bits, so that the float is exact and below 1
