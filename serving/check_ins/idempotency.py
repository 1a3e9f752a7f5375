"""Store requests in PostgreSQL (api.check_in_request), so that a repeated request gets the first response."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from serving.personal_fields import PersonalFields
from serving.publication_reader import Reader, Row, Warehouse

PACKAGE = "serving.check_ins"
CHECK_IN = "okr.check_in.recorded.v1"
CONTENT = ("value", "confidence", "note", "is_final")


@dataclass(frozen=True)
class StoredRequest:
    """A request to record or correct a check-in, and the content of its first response.

    `request_id` is None if a source other than this API recorded the check-in. `is_bound` is true if the idempotency
    key is already stored for this request. `username` is the account that sent it, if this API recorded it. The note of
    an erased person is None in `content`.
    """

    request_id: int | None
    check_in_id: str
    key_result_id: str
    content: dict[str, Any]
    event_id: UUID
    occurred_at: datetime
    warnings: list[dict[str, str]]
    is_persisted: bool
    is_acknowledged: bool
    is_bound: bool = False
    username: str | None = None
    is_note_erased: bool = False


class RequestStore:
    """Reads and writes api.check_in_request; each call is a separate transaction."""

    def __init__(self, warehouse: Warehouse, fields: PersonalFields | None = None) -> None:
        """Receive the personal fields: the note is encrypted in the table. Without keys, it is not."""
        self._warehouse = warehouse
        self._fields = fields or PersonalFields()

    def find_recorded(
        self, username: str, idempotency_key: str | None, check_in_id: str | None
    ) -> StoredRequest | None:
        """Return the request that first recorded an idempotency key or a check-in id, from any source.

        Corrections are ignored. If the request has been deleted, the check-in's first event in the log is returned
        instead.
        """
        parameters = {"username": username, "idempotency_key": idempotency_key, "check_in_id": check_in_id}
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            rows = reader.rows(PACKAGE, "recorded_request", parameters)
            if rows:
                return self._stored(rows[0])
            rows = reader.rows(PACKAGE, "first_logged_event", {"check_in_id": check_in_id}) if check_in_id else []
        if not rows:
            return None
        found = self._decrypted(rows[0], rows[0]["check_in_id"])
        return _stored_from_log(found, is_note_erased=found["note"] is None and rows[0]["note"] is not None)

    def find_correction(self, username: str, idempotency_key: str | None, check_in_id: str) -> StoredRequest | None:
        """Return the correction with an idempotency key or, if none is given, the newest request for the check-in.

        If no key is given and the log has newer content, the result is None, because sending the old content again is
        then a new correction. A request counts as newer than the log until the state consumer has read its event.
        """
        parameters = {"username": username, "idempotency_key": idempotency_key, "check_in_id": check_in_id}
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            rows = reader.rows(PACKAGE, "correction_request", parameters)
            logged = reader.rows(PACKAGE, "current_check_in", {"check_in_id": check_in_id})
        if not rows:
            return None
        found = self._stored(rows[0])
        is_same = bool(logged) and _content(self._decrypted(logged[0], check_in_id)) == found.content
        if idempotency_key is not None or not logged or is_same:
            return found
        return None if self.is_logged(found) else found

    def bind_key(self, caller_and_key: dict[str, str | None], before: StoredRequest) -> bool:
        """Store an idempotency key for a recorded check-in, or return False if another check-in already has the key."""
        row = self.insert("repeat", caller_and_key, before)
        if row is not None and row.request_id is not None and before.is_persisted:
            self.mark_persisted(row.request_id, is_acknowledged=before.is_acknowledged)
        return row is not None

    def insert(
        self, operation: str, caller_and_key: dict[str, str | None], request: StoredRequest
    ) -> StoredRequest | None:
        """Store a request before its event is persisted, or return None if the request was stored concurrently."""
        values = {
            **caller_and_key, "operation": operation,
            "check_in_id": request.check_in_id, "key_result_id": request.key_result_id,
            "body": Jsonb(self._encrypted(request)), "event_id": request.event_id, "occurred_at": request.occurred_at,
            "warnings": Jsonb(request.warnings),
        }  # fmt: skip
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "insert_request", values)
        return replace(self._stored(rows[0]), content=request.content) if rows else None

    def mark_persisted(self, request_id: int, *, is_acknowledged: bool) -> None:
        """Record that a request's event is on disk, and whether the broker has acknowledged it."""
        values = {"request_id": request_id, "is_acknowledged": is_acknowledged}
        with self._warehouse.connection() as connection:
            Reader(connection).rows(PACKAGE, "mark_request_persisted", values)

    def is_logged(self, request: StoredRequest) -> bool:
        """Return whether the state consumer has read the request's event from the log."""
        values = {"check_in_id": request.check_in_id, "event_id": request.event_id}
        with self._warehouse.connection() as connection:
            return bool(Reader(connection).rows(PACKAGE, "logged_event", values))

    def _stored(self, row: Row) -> StoredRequest:
        content = _content(self._decrypted(row["body"], row["check_in_id"]))
        is_erased = content["note"] is None and row["body"].get("note") is not None
        return StoredRequest(
            request_id=row["request_id"],
            check_in_id=row["check_in_id"],
            key_result_id=row["key_result_id"],
            content=content,
            event_id=row["event_id"],
            occurred_at=row["occurred_at"],
            warnings=row["warnings"],
            is_persisted=row["kept_at"] is not None,
            is_acknowledged=row["is_in_log"],
            is_bound=row.get("is_bound", True),
            username=row.get("username"),
            is_note_erased=is_erased,
        )

    def _encrypted(self, request: StoredRequest) -> dict[str, Any]:
        """Return the content with an encrypted note. Its key is that of the check-in's author if the log names one."""
        if request.content["note"] is None or not self._fields.has_keys:
            return request.content
        with self._warehouse.connection() as connection:
            authors = Reader(connection).rows(PACKAGE, "check_in_author", {"check_in_id": request.check_in_id})
        data = {
            "check_in_id": request.check_in_id, "key_result_id": request.key_result_id,
            "user_id": authors[0]["user_id"] if authors else None, "note": request.content["note"],
        }  # fmt: skip
        (encrypted,) = self._fields.encrypted([(CHECK_IN, data)])
        return {**request.content, "note": encrypted["note"]}

    def _decrypted(self, content: Row, check_in_id: str) -> Row:
        (decrypted,) = self._fields.readable([(CHECK_IN, {**content, "check_in_id": check_in_id})])
        return decrypted


def _content(row: Row) -> dict[str, Any]:
    return {name: row.get(name) for name in CONTENT}


def _stored_from_log(row: Row, *, is_note_erased: bool) -> StoredRequest:
    return StoredRequest(
        request_id=None,
        check_in_id=row["check_in_id"],
        key_result_id=row["key_result_id"],
        content=_content(row),
        event_id=row["event_id"],
        occurred_at=row["occurred_at"],
        warnings=[],
        is_persisted=True,
        is_acknowledged=True,
        is_note_erased=is_note_erased,
    )
