"""Queries of the published marts for the endpoints under /v1. This module does not use FastAPI."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.auth.visibility import UNRESTRICTED
from serving.data.lists.definitions import SYSTEM_HEALTH
from serving.data.lists.queries import HostMetricsQuery
from serving.data.lists.service import ListRequest, Page, read_page
from serving.data.similar_ids import similar_ids
from serving.errors import NotFound
from serving.publication_reader import Publication, Published, Reader, Row
from serving.status_explanations import missing_to_close
from serving.warehouses import Warehouses

PACKAGE = "serving.data"
PIPELINE_RUNS = 20


@dataclass(frozen=True)
class SystemHealth:
    """A page of hourly host metrics and the newest pipeline runs."""

    host_metrics: Page
    pipeline_runs: list[Row]


class Data:
    """Reads the marts. Every method raises NotPublished before the first publication."""

    def __init__(self, warehouses: Warehouses) -> None:
        self._warehouses = warehouses

    def publication(self) -> Publication:
        """Return the current publication."""
        return self._warehouses.installation.publication()

    def key_result(self, key_result_id: str, visible: Mapping[str, Any]) -> Published[list[Row]]:
        """Return a key result in each of its cycles, its current cycle first.

        Raises:
            NotFound: the publication does not contain the key result.
        """

        def read(reader: Reader) -> tuple[list[Row], list[str]]:
            wanted = {"key_result_id": key_result_id, **visible}
            rows = reader.rows(PACKAGE, "key_result", wanted)
            return rows, [] if rows else similar_ids(reader, "key_result", key_result_id, visible)

        found = self._warehouses.seen_by(visible).read(read)
        rows, similar = found.value
        if not rows:
            raise NotFound(
                f"Publication {found.publication.publication_id} has no key result {key_result_id!r}; "
                "GET /v1/key-results lists its key results.",
                similar,
            )
        return Published(found.publication, add_missing_to_close(rows))

    def user_activity(self, user_id: str, days: int, visible: Mapping[str, Any]) -> Published[list[Row]]:
        """Return a user's days with activity, from the `days` days up to `data_as_of`.

        Raises:
            NotFound: the user is unknown.
        """

        def read(reader: Reader) -> list[Row] | None:
            if not reader.rows(PACKAGE, "user", {"user_id": user_id, **visible}):
                return None
            return reader.rows(PACKAGE, "user_activity", {"user_id": user_id, "days": days, **visible})

        found = self._warehouses.seen_by(visible).read(read)
        if found.value is None:
            raise NotFound(f"Publication {found.publication.publication_id} has no user {user_id!r}.")
        return Published(found.publication, found.value)

    def system_health(self, query: HostMetricsQuery) -> Published[SystemHealth]:
        """Return a page of host metrics, newest hour first, and the newest pipeline runs, from one snapshot.

        Raises:
            ContractViolation: this list did not return the cursor.
        """
        request = ListRequest(SYSTEM_HEALTH, query, UNRESTRICTED)
        return self._warehouses.installation.read(
            lambda reader: SystemHealth(
                read_page(reader, request), reader.rows(PACKAGE, "pipeline_runs", {"runs": PIPELINE_RUNS})
            )
        )


def add_missing_to_close(rows: list[Row]) -> list[Row]:
    """Add the field `missing_to_close` to rows of mart_okr_scorecard."""
    return [{**row, "missing_to_close": missing_to_close(row)} for row in rows]
