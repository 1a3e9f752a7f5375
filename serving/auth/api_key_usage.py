"""Record when API keys were last used. Uses are written in batches, so that not every use costs a write."""

import threading
from datetime import UTC, datetime

from serving.publication_reader import Connection, Reader

PACKAGE = "serving.auth"


class ApiKeyUsage:
    """Collects uses until `flush` writes them. Verified keys are cached, so times are accurate to a minute."""

    def __init__(self) -> None:
        self._used: dict[str, datetime] = {}
        self._noting = threading.Lock()

    def note(self, prefix: str) -> None:
        """Note that a key was used now."""
        with self._noting:
            self._used[prefix] = datetime.now(UTC)

    def flush(self, connection: Connection) -> None:
        """Write the collected uses. If this fails, they are lost; later uses are written by the next call."""
        with self._noting:
            used, self._used = self._used, {}
        if used:
            values = {"prefixes": list(used), "times": list(used.values())}
            Reader(connection).rows(PACKAGE, "record_api_key_usage", values)
