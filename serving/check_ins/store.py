"""What was asked for before, in PostgreSQL, and what is known of key results and check-ins."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from lakehouse.contracts.cycle import DAYS_TO_CLOSE
from lakehouse.errors import RetryableError
from serving.check_ins.outcome import Sent
from serving.errors import NotPublished
from serving.nearby import nearby
from serving.published import Reader, Row, Warehouse

PACKAGE = "serving.check_ins"
CONTENT = ("value", "confidence", "note", "is_final")


@dataclass(frozen=True)
class Requested:
    """A check-in or correction that was asked for, and what its first answer said.

    `request_id` is None where another source than this API recorded it. `is_bound`: the request's idempotency key
    stands for it.
    """

    request_id: int | None
    check_in_id: str
    key_result_id: str
    content: dict[str, Any]
    event_id: UUID
    occurred_at: datetime
    warnings: list[dict[str, str]]
    is_kept: bool
    is_in_log: bool
    is_bound: bool = False


class Requests:
    """Reads and writes api.check_in_request; each call is a transaction of its own."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def recorded(self, username: str, idempotency_key: str | None, check_in_id: str | None) -> Requested | None:
        """Return what was first recorded under an idempotency key, or as a check-in of that id, wherever it came from.

        Corrections change nothing of it. A request that is forgotten is known by the first event in the log.
        """
        who = {"username": username, "idempotency_key": idempotency_key, "check_in_id": check_in_id}
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            rows = reader.rows(PACKAGE, "recorded", who)
            if rows:
                return _requested(rows[0])
            rows = reader.rows(PACKAGE, "first_in_log", {"check_in_id": check_in_id}) if check_in_id else []
        return _from_log(rows[0]) if rows else None

    def corrected(self, username: str, idempotency_key: str | None, check_in_id: str) -> Requested | None:
        """Return what was corrected under an idempotency key, or without one what a check-in was last set to here.

        None, too, where the log has something newer, for then the same words are a new correction. A request whose own
        event the state consumer has not read yet is the newest: what the log says of the check-in is from before it.
        """
        who = {"username": username, "idempotency_key": idempotency_key, "check_in_id": check_in_id}
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            rows = reader.rows(PACKAGE, "corrected", who)
            logged = reader.rows(PACKAGE, "in_log", {"check_in_id": check_in_id})
        if not rows:
            return None
        found = _requested(rows[0])
        if idempotency_key is not None or not logged or _content(logged[0]) == found.content:
            return found
        return None if self.is_in_log(found) else found

    def original(self, check_in_id: str) -> Row | None:
        """Return key_result_id and occurred_at of a check-in as it was first recorded; None for an unknown one."""
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "original", {"check_in_id": check_in_id})
        return rows[0] if rows else None

    def author(self, check_in_id: str) -> Row:
        """Return user_id and organisation_id of a check-in as the log last said; no name where it knows none."""
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "author", {"check_in_id": check_in_id})
        return rows[0] if rows else {}

    def bind(self, who: dict[str, str | None], before: Requested) -> bool:
        """Make an idempotency key stand for a check-in that was recorded before; False where it stands for another."""
        row = self.insert("repeat", who, before)
        if row is not None and row.request_id is not None and before.is_kept:
            self.kept(row.request_id, is_in_log=before.is_in_log)
        return row is not None

    def insert(self, operation: str, who: dict[str, str | None], asked: Requested) -> Requested | None:
        """Write a request before its event is kept; None where the same was asked for meanwhile."""
        values = {
            **who, "operation": operation, "check_in_id": asked.check_in_id, "key_result_id": asked.key_result_id,
            "body": Jsonb(asked.content), "event_id": asked.event_id, "occurred_at": asked.occurred_at,
            "warnings": Jsonb(asked.warnings),
        }  # fmt: skip
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "insert", values)
        return _requested(rows[0]) if rows else None

    def kept(self, request_id: int, *, is_in_log: bool) -> None:
        """Note that a request's event is on disk, or with the broker."""
        with self._warehouse.connection() as connection:
            Reader(connection).rows(PACKAGE, "kept", {"request_id": request_id, "is_in_log": is_in_log})

    def is_in_log(self, asked: Requested) -> bool:
        """Return whether the state consumer has read the event."""
        values = {"check_in_id": asked.check_in_id, "event_id": asked.event_id}
        with self._warehouse.connection() as connection:
            return bool(Reader(connection).rows(PACKAGE, "is_in_log", values))

    def key_result(self, key_result_id: str, sent: Sent) -> Row | None:
        """Return a key result, with what was published of it in the cycle of a check-in; None for an unknown one.

        Where its newest definition is of that cycle, unit, baseline and target are of that one. Where it counts in
        several cycles, `closes_cycle` is the one that a closing check-in of that moment closes.
        """
        wanted: Row = {"key_result_id": key_result_id, "check_in_id": sent.check_in_id, "at": sent.at}
        with self._warehouse.connection() as connection:
            closes = Reader(connection).rows(PACKAGE, "closes", wanted | {"days_to_close": DAYS_TO_CLOSE})
        is_late = sent.is_final and bool(closes) and closes[0]["closes_before"]
        wanted["closes_cycle_id"] = closes[0]["closes_cycle_id"] if is_late else None
        try:
            published = self._warehouse.read(lambda reader: reader.rows(PACKAGE, "published", wanted)).value
        except NotPublished:
            published = []
        wanted |= {"is_published": bool(published), "cycle_id": published[0]["cycle_id"] if published else None}
        with self._warehouse.connection() as connection:
            defined = Reader(connection).rows(PACKAGE, "defined", wanted)
        parts = [rows[0] for rows in (published, defined, closes) if rows]
        return {name: value for part in parts for name, value in part.items()} or None

    def nearby(self, key_result_id: str) -> list[str]:
        """Return ids of published key results that look like one that is not known."""
        try:
            found = self._warehouse.read(
                lambda reader: reader.rows("serving.data", "similar_key_results", {"wanted": key_result_id})
            )
        except (NotPublished, RetryableError):
            return []
        return nearby(key_result_id, [row["key_result_id"] for row in found.value])


def _content(known: Row) -> dict[str, Any]:
    return {name: known.get(name) for name in CONTENT}


def _requested(row: Row) -> Requested:
    return Requested(
        request_id=row["request_id"],
        check_in_id=row["check_in_id"],
        key_result_id=row["key_result_id"],
        content=_content(row["body"]),
        event_id=row["event_id"],
        occurred_at=row["occurred_at"],
        warnings=row["warnings"],
        is_kept=row["kept_at"] is not None,
        is_in_log=row["is_in_log"],
        is_bound=row.get("is_bound", True),
    )


def _from_log(row: Row) -> Requested:
    return Requested(
        request_id=None,
        check_in_id=row["check_in_id"],
        key_result_id=row["key_result_id"],
        content=_content(row),
        event_id=row["event_id"],
        occurred_at=row["occurred_at"],
        warnings=[],
        is_kept=True,
        is_in_log=True,
    )
