"""What the published marts say, room by room of /v1. Knows no HTTP."""

import base64
import binascii
import json
from dataclasses import dataclass

from lakehouse.contracts.cycle import DAYS_TO_CLOSE
from lakehouse.errors import ContractViolation
from serving.data.filters import KeyResultFilter, check_names
from serving.errors import NotFound
from serving.publication_reader import Publication, Published, Reader, Row, Warehouse
from serving.status_explanations import missing_to_close
from serving.suggestions import similar_names

PACKAGE = "serving.data"
LONGEST_CURSOR = 1_000


@dataclass(frozen=True)
class Page:
    """A page of rows and where the next one begins."""

    rows: list[Row]
    next_cursor: str | None


@dataclass(frozen=True)
class SystemHealth:
    """Metrics of hosts by the hour, and the newest pipeline runs."""

    host_metrics: list[Row]
    pipeline_runs: list[Row]


class Data:
    """Reads of the marts. Every method raises NotPublished before the first publication."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def publication(self) -> Publication:
        """Return the current publication."""
        return self._warehouse.publication()

    def key_result(self, key_result_id: str) -> Published[list[Row]]:
        """Return one key result in each of its cycles, the one where it is now first.

        Raises:
            NotFound: the publication holds none of that id.
        """

        def read(reader: Reader) -> tuple[list[Row], list[Row]]:
            rows = reader.rows(PACKAGE, "key_result", {"key_result_id": key_result_id, "days_to_close": DAYS_TO_CLOSE})
            return rows, [] if rows else reader.rows(PACKAGE, "similar_key_results", {"wanted": key_result_id})

        found = self._warehouse.read(read)
        rows, similar = found.value
        if not rows:
            raise NotFound(
                f"Publication {found.publication.publication_id} holds no key result {key_result_id!r}; "
                "GET /v1/key-results lists them.",
                similar_names(key_result_id, [row["key_result_id"] for row in similar]),
            )
        return Published(found.publication, add_missing_to_close(rows))

    def key_results(self, wanted: KeyResultFilter, limit: int, cursor: str | None) -> Published[Page]:
        """Return at most `limit` key results behind the cursor.

        Raises:
            ContractViolation: the cursor is not one of ours.
            UnknownName: the publication holds no such team or cycle.
        """
        key_result, cycle = (None, None) if cursor is None else _place_in(cursor)
        after = {"after_key_result": key_result, "after_cycle": cycle}

        def read(reader: Reader) -> list[Row]:
            check_names(reader, wanted)
            return reader.rows(
                PACKAGE, "key_results", {**wanted.values(), **after, "limit": limit, "days_to_close": DAYS_TO_CLOSE}
            )

        found = self._warehouse.read(read)
        rows, more = add_missing_to_close(found.value[:limit]), found.value[limit:]
        return Published(found.publication, Page(rows, _cursor(rows[-1]) if more else None))

    def okr_progress(self, wanted: KeyResultFilter) -> Published[list[Row]]:
        """Return teams' progress by cycle.

        Raises:
            UnknownName: the publication holds no such team or cycle.
        """

        def read(reader: Reader) -> list[Row]:
            check_names(reader, wanted)
            return reader.rows(PACKAGE, "okr_progress", wanted.values())

        return self._warehouse.read(read)

    def user_activity(self, user_id: str, days: int) -> Published[list[Row]]:
        """Return the days with activity of a user among the last `days` days before `data_as_of`.

        Raises:
            NotFound: no such user.
        """

        def read(reader: Reader) -> list[Row] | None:
            if not reader.rows(PACKAGE, "user", {"user_id": user_id}):
                return None
            return reader.rows(PACKAGE, "user_activity", {"user_id": user_id, "days": days})

        found = self._warehouse.read(read)
        if found.value is None:
            raise NotFound(f"Publication {found.publication.publication_id} knows no user {user_id!r}.")
        return Published(found.publication, found.value)

    def system_health(self, hours: int) -> Published[SystemHealth]:
        """Return the last `hours` hours of metrics that hold samples, and the newest pipeline runs."""
        return self._warehouse.read(
            lambda reader: SystemHealth(
                reader.rows(PACKAGE, "host_metrics", {"hours": hours}), reader.rows(PACKAGE, "pipeline_runs")
            )
        )


def add_missing_to_close(rows: list[Row]) -> list[Row]:
    """Add to rows of mart_okr_scorecard what is missing to close them."""
    return [{**row, "missing_to_close": missing_to_close(row)} for row in rows]


def _cursor(last: Row) -> str:
    place = json.dumps([last["key_result_id"], last["cycle_id"] or ""])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _place_in(cursor: str) -> tuple[str, str]:
    unknown = ContractViolation("unknown_cursor", "The cursor is not one that GET /v1/key-results gave.")
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        place = json.loads(text)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise unknown from error
    match place:
        case [str(key_result_id), str(cycle_id)] if _is_storable(key_result_id + cycle_id):
            return key_result_id, cycle_id
        case _:
            raise unknown


def _is_storable(text: str) -> bool:
    """Return whether PostgreSQL could hold the text: JSON can say what it cannot."""
    is_known = "\x00" not in text and len(text) <= LONGEST_CURSOR
    return is_known and not any("\ud800" <= character <= "\udfff" for character in text)
