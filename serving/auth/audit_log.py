"""Append events to the audit log (auth.audit_event). The log contains no secrets."""

from dataclasses import dataclass, field
from typing import Literal

from psycopg.types.json import Jsonb

from lakehouse.logs import get_logger
from serving.auth.audit_chain import FIRST_HASH, Chain, Details, Entry
from serving.publication_reader import Connection, Reader, Warehouse

PACKAGE = "serving.auth"
Outcome = Literal["success", "failure"]


@dataclass(frozen=True)
class Event:
    """An event to record. `actor` is an account or `os:<user>`; `address` is the client's, None for commands."""

    action: str
    actor: str
    subject: str
    outcome: Outcome = "success"
    address: str | None = None
    details: Details = field(default_factory=dict)


class AuditLog:
    """Appends events. Concurrent writers, also of other processes, wait for each other."""

    def __init__(self, warehouse: Warehouse, chain: Chain) -> None:
        self._warehouse = warehouse
        self._chain = chain
        self._log = get_logger(__name__)

    def record(self, event: Event) -> None:
        """Append an event in its own transaction.

        Raises:
            RetryableError: PostgreSQL is unavailable, so the event is not recorded.
        """
        with self._warehouse.connection() as connection:
            self.record_in(connection, event)

    def record_in(self, connection: Connection, event: Event) -> None:
        """Append an event in the transaction of the change. Call this last, because other writers wait for its end."""
        reader = Reader(connection)
        # Two statements, because a statement does not see what was committed while it waited for the lock.
        reader.rows(PACKAGE, "audit_lock")
        [head] = reader.rows(PACKAGE, "audit_head")
        previous = bytes(head["hash"]) if head["hash"] is not None else FIRST_HASH
        entry = Entry(
            event_id=head["event_id"] + 1, occurred_at=head["now"], actor=event.actor, action=event.action,
            subject=event.subject, outcome=event.outcome, address=event.address, details=event.details,
        )  # fmt: skip
        row_hash = self._chain.hash(entry, previous)
        values = {
            "event_id": entry.event_id, "occurred_at": entry.occurred_at, "actor": entry.actor, "action": entry.action,
            "subject": entry.subject, "outcome": entry.outcome, "address": entry.address,
            "details": Jsonb(dict(entry.details)), "previous_hash": previous, "hash": row_hash,
            "seal": self._chain.seal(row_hash), "seal_key": self._chain.key_id,
        }  # fmt: skip
        reader.rows(PACKAGE, "insert_audit_event", values)
        # The log is a copy outside the database: it shows whether the newest events have been removed there.
        self._log.info("audit", event_id=entry.event_id, action=event.action, hash=row_hash.hex())
