"""Which key results of the current publication an identity may see, for answers that are computed in memory."""

import threading
from collections.abc import Sequence

from serving.auth.roles import Identity
from serving.publication_reader import Publication, Reader
from serving.warehouses import Warehouses

PACKAGE = "serving.auth"
NONE_HIDDEN: frozenset[str] = frozenset()


class VisibleKeyResults:
    """The ids of each organisation's key results, read once per publication and organisation. Thread-safe."""

    def __init__(self, warehouses: Warehouses) -> None:
        self._warehouses = warehouses
        self._publication: Publication | None = None
        self._of_organisation: dict[str, frozenset[str]] = {}
        self._reading = threading.Lock()

    def hidden(self, identity: Identity, key_result_ids: Sequence[str]) -> frozenset[str]:
        """Return the key results among these that the identity may not see. They are unknown to it.

        Raises:
            NotPublished: nothing has been published yet.
        """
        if identity.organisation_id is None:
            return NONE_HIDDEN
        return frozenset(key_result_ids) - self._visible(identity.organisation_id)

    def _visible(self, organisation_id: str) -> frozenset[str]:
        now = self._warehouses.installation.publication()
        with self._reading:
            if self._publication != now:
                self._publication, self._of_organisation = now, {}
            if organisation_id not in self._of_organisation:
                self._of_organisation[organisation_id] = self._read(organisation_id)
            return self._of_organisation[organisation_id]

    def _read(self, organisation_id: str) -> frozenset[str]:
        values = {"visible_organisation_id": organisation_id}

        def read(reader: Reader) -> frozenset[str]:
            rows = reader.rows(PACKAGE, "visible_key_results", values)
            return frozenset(row["key_result_id"] for row in rows)

        return self._warehouses.of(organisation_id).read(read).value
