"""How many bytes the bodies of requests in progress may occupy in a worker.

A body is read before the credential of its request is verified. Strangers, whose credential this worker has not
verified before, have a small separate budget, so that they cannot use up the budget of other callers.
"""

from collections import Counter

ALL_BYTES = 67_108_864
STRANGERS_BYTES = 8_388_608
ADDRESS_BYTES = 1_048_576  # of the strangers at one address: one body of the largest size


class BodyBudget:
    """The bytes that are left. Use it on one event loop only."""

    def __init__(
        self,
        all_bytes: int = ALL_BYTES,
        strangers_bytes: int = STRANGERS_BYTES,
        address_bytes: int = ADDRESS_BYTES,
    ) -> None:
        self._free = all_bytes
        self._free_for_strangers = strangers_bytes
        self._address_bytes = address_bytes
        self._of_address: Counter[str] = Counter()

    def share(self, address: str | None) -> "BodyShare":
        """Return an empty share for a body: of a stranger at an address, or of a known caller (None)."""
        return BodyShare(self, address)

    def left(self, address: str | None) -> int:
        """Return how many bytes a body may take now."""
        if address is None:
            return self._free
        return min(self._free, self._free_for_strangers, self._address_bytes - self._of_address[address])

    def change(self, size: int, address: str | None) -> None:
        """Take bytes, or return them if the size is negative."""
        self._free -= size
        if address is not None:
            self._free_for_strangers -= size
            self._of_address[address] += size
            if not self._of_address[address]:
                del self._of_address[address]


class BodyShare:
    """The bytes that one body has taken."""

    __slots__ = ("_address", "_budget", "_size")

    def __init__(self, budget: BodyBudget, address: str | None) -> None:
        self._budget = budget
        self._address = address
        self._size = 0

    def take(self, size: int) -> bool:
        """Take the bytes of a part. Return false, and take nothing, if they are not left."""
        if size > self._budget.left(self._address):
            return False
        self._budget.change(size, self._address)
        self._size += size
        return True

    def give_back(self) -> None:
        """Return all bytes."""
        self._budget.change(-self._size, self._address)
        self._size = 0
