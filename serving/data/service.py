"""Queries of the published marts for the endpoints under /v1. This module does not depend on HTTP."""

from dataclasses import dataclass

from lakehouse.contracts.cycle import DAYS_TO_CLOSE
from serving.data.cursors import Cursor, Page
from serving.data.filters import KeyResultFilter, check_names
from serving.errors import NotFound
from serving.publication_reader import Publication, Published, Reader, Row, Warehouse
from serving.status_explanations import missing_to_close
from serving.suggestions import similar_names

PACKAGE = "serving.data"
PIPELINE_RUNS = 20
KEY_RESULTS = Cursor("/v1/key-results", {"key_result_id": str, "cycle_key": str})
OKR_PROGRESS = Cursor(
    "/v1/okr-progress",
    {"cycle_order": int, "organisation_key": str, "team_label_key": str, "team_key": str, "cycle_key": str},
)
HOST_METRICS = Cursor("/v1/system-health", {"hour_order": int, "host": str, "metric": str, "unit": str})


@dataclass(frozen=True)
class SystemHealth:
    """A page of hourly host metrics and the newest pipeline runs."""

    host_metrics: Page
    pipeline_runs: list[Row]


class Data:
    """Reads the marts. Every method raises NotPublished before the first publication."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def publication(self) -> Publication:
        """Return the current publication."""
        return self._warehouse.publication()

    def key_result(self, key_result_id: str) -> Published[list[Row]]:
        """Return a key result in each of its cycles, its current cycle first.

        Raises:
            NotFound: the publication does not contain the key result.
        """

        def read(reader: Reader) -> tuple[list[Row], list[Row]]:
            rows = reader.rows(PACKAGE, "key_result", {"key_result_id": key_result_id, "days_to_close": DAYS_TO_CLOSE})
            return rows, [] if rows else reader.rows(PACKAGE, "similar_key_results", {"wanted": key_result_id})

        found = self._warehouse.read(read)
        rows, similar = found.value
        if not rows:
            raise NotFound(
                f"Publication {found.publication.publication_id} has no key result {key_result_id!r}; "
                "GET /v1/key-results lists its key results.",
                similar_names(key_result_id, [row["key_result_id"] for row in similar]),
            )
        return Published(found.publication, add_missing_to_close(rows))

    def key_results(self, wanted: KeyResultFilter, limit: int, cursor: str | None) -> Published[Page]:
        """Return at most `limit` key results after the cursor.

        Raises:
            ContractViolation: this list did not return the cursor.
            UnknownName: the publication has no such team or cycle.
        """
        values = {**wanted.values(), **KEY_RESULTS.values(cursor), "limit": limit, "days_to_close": DAYS_TO_CLOSE}

        def read(reader: Reader) -> list[Row]:
            check_names(reader, wanted)
            return reader.rows(PACKAGE, "key_results", values)

        found = self._warehouse.read(read)
        return Published(found.publication, KEY_RESULTS.page(add_missing_to_close(found.value), limit))

    def okr_progress(self, wanted: KeyResultFilter, limit: int, cursor: str | None) -> Published[Page]:
        """Return the progress of at most `limit` teams and cycles after the cursor.

        Raises:
            ContractViolation: this list did not return the cursor.
            UnknownName: the publication has no such team or cycle.
        """
        values = {**wanted.values(), **OKR_PROGRESS.values(cursor), "limit": limit}

        def read(reader: Reader) -> list[Row]:
            check_names(reader, wanted)
            return reader.rows(PACKAGE, "okr_progress", values)

        found = self._warehouse.read(read)
        return Published(found.publication, OKR_PROGRESS.page(found.value, limit))

    def user_activity(self, user_id: str, days: int) -> Published[list[Row]]:
        """Return a user's days with activity, from the `days` days up to `data_as_of`.

        Raises:
            NotFound: the user is unknown.
        """

        def read(reader: Reader) -> list[Row] | None:
            if not reader.rows(PACKAGE, "user", {"user_id": user_id}):
                return None
            return reader.rows(PACKAGE, "user_activity", {"user_id": user_id, "days": days})

        found = self._warehouse.read(read)
        if found.value is None:
            raise NotFound(f"Publication {found.publication.publication_id} has no user {user_id!r}.")
        return Published(found.publication, found.value)

    def system_health(self, hours: int, limit: int, cursor: str | None) -> Published[SystemHealth]:
        """Return at most `limit` host metrics from the `hours` hours up to the newest sample, and the newest runs.

        Raises:
            ContractViolation: this list did not return the cursor.
        """
        values = {**HOST_METRICS.values(cursor), "hours": hours, "limit": limit}
        return self._warehouse.read(
            lambda reader: SystemHealth(
                HOST_METRICS.page(reader.rows(PACKAGE, "host_metrics", values), limit),
                reader.rows(PACKAGE, "pipeline_runs", {"runs": PIPELINE_RUNS}),
            )
        )


def add_missing_to_close(rows: list[Row]) -> list[Row]:
    """Add the field `missing_to_close` to rows of mart_okr_scorecard."""
    return [{**row, "missing_to_close": missing_to_close(row)} for row in rows]
