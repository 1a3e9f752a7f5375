"""Assign units (key results, teams or accounts) to arms by their hash, identically on every worker and host.

`versions_of_arms` uses the arm to choose the version that predicts for a request.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.experiments.experiment import Arm


def assigned_arm(arms: Sequence["Arm"], salt: str, unit_id: str) -> "Arm | None":
    """Return the arm of a unit, or None if it is in no arm.

    The arms have consecutive ranges of numbers from 0 to 1, in the order of their definition.
    """
    fraction, upper = unit_fraction(salt, unit_id), 0.0
    for arm in arms:
        if arm.is_shadow:
            continue
        upper += arm.share
        if fraction < upper:
            return arm
    return None


def unit_fraction(salt: str, unit_id: str) -> float:
    """Return a number in [0, 1): the first 8 bytes of SHA-256 of `<salt>/<unit_id>`, big-endian, over 2^64.

    Only the salt and the id determine it, so a unit stays in its arm after restarts, on every worker, and when other
    units are added. (Python's `hash` differs from process to process.)
    """
    digest = hashlib.sha256(f"{salt}/{unit_id}".encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # 53 bits, so that the float is exact and below 1
