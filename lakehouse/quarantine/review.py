"""Read flagged and withheld events (marts.fct_reviewed_event) and record decisions on them (ops.event_review)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import class_row

from lakehouse.errors import NotPossible
from lakehouse.warehouse import connect, read_sql

PACKAGE = "lakehouse.quarantine"
MANUAL = "manual"
Decision = Literal["release", "withhold"]
WHEN_APPLIED = (
    "A run of okr_etl_dag starts within a minute and publishes the decision. The state tables are updated when the "
    "next event arrives."
)


@dataclass(frozen=True)
class EventForReview:
    """One row of marts.fct_reviewed_event: a flagged or withheld event, with the decision on it if there is one."""

    event_id: str
    rule: str
    event_type: str
    subject: str
    occurred_at: datetime
    logged_at: datetime
    reason: str
    decision: str | None
    decision_reason: str | None
    is_withheld: bool


@dataclass(frozen=True)
class ReviewCursor:
    """A place in the list of events for review, after which the next page starts."""

    is_withheld: bool
    logged_at: Annotated[datetime, msgspec.Meta(tz=True)]
    event_id: UUID
    rule: str


def events_for_review(
    dsn: str, *, withheld_only: bool = False, limit: int = 100, after: ReviewCursor | None = None
) -> list[EventForReview]:
    """Return the flagged and withheld events of the current publication, withheld events first, then newest first.

    Raises:
        NotPossible: nothing has been published yet.
    """
    parameters = {"withheld_only": withheld_only, "limit": limit, **_after(after)}
    try:
        with connect(dsn, application="okr-quarantine") as connection:
            cursor = connection.cursor(row_factory=class_row(EventForReview))
            return cursor.execute(read_sql(PACKAGE, "events_for_review"), parameters).fetchall()
    except psycopg.errors.UndefinedTable:
        raise _nothing_published() from None


@dataclass(frozen=True)
class PendingDecision:
    """A decision that the current publication does not include yet."""

    event_id: str
    rule: str
    decision: Decision


def pending_decisions(dsn: str) -> list[PendingDecision]:
    """Return the decisions that the current publication lacks, oldest first; empty before the first publication."""
    try:
        with connect(dsn, application="okr-quarantine") as connection:
            cursor = connection.cursor(row_factory=class_row(PendingDecision))
            return cursor.execute(read_sql(PACKAGE, "pending_decisions")).fetchall()
    except psycopg.errors.UndefinedTable:
        return []


def review_counts(dsn: str) -> tuple[int, int]:
    """Return the numbers of withheld events and of other listed events; (0, 0) before the first publication."""
    try:
        with connect(dsn, application="okr-quarantine") as connection:
            row = connection.execute(read_sql(PACKAGE, "review_counts")).fetchone()
    except psycopg.errors.UndefinedTable:
        return 0, 0
    return (int(str(row[0])), int(str(row[1]))) if row else (0, 0)


def decide(dsn_transform: str, event_ids: Collection[UUID], decision: Decision, *, by: str, reason: str | None) -> None:
    """Record a decision on events. It replaces all earlier decisions on them and applies from the next build onwards.

    Raises:
        NotPossible: an event is not in the warehouse, an event to be released is neither withheld nor flagged, or
            nothing has been published yet. No decision is recorded in these cases.
    """
    named = {str(each) for each in event_ids}
    with connect(dsn_transform, application="okr-quarantine") as connection:
        found = connection.execute(read_sql(PACKAGE, "loaded_events"), {"event_ids": sorted(named)}).fetchall()
        unknown = sorted(named - {str(event_id) for (event_id,) in found})
        if unknown:
            raise NotPossible(
                f"Not in the warehouse: {', '.join(unknown)}. Expected ids of loaded events (`okr quarantine list`)."
            )
        values = {
            "event_ids": sorted(named),
            "decision": decision,
            "reason": reason,
            "decided_by": by,
            "manual": MANUAL,
        }
        try:
            decided = connection.execute(read_sql(PACKAGE, "record_decision"), values).fetchall()
        except psycopg.errors.UndefinedTable:
            raise _nothing_published() from None
        unmatched = sorted(named - {str(event_id) for (event_id,) in decided})
        if unmatched:
            raise NotPossible(
                f"Nothing to release: {', '.join(unmatched)}. They are not in the list of flagged and withheld events "
                "(`okr quarantine list`), and there is no earlier decision on them. Either they are not withheld, or "
                "they were loaded after the current publication."
            )


def _after(position: ReviewCursor | None) -> dict[str, object]:
    names = ("is_withheld", "logged_at", "event_id", "rule")
    return {f"after_{name}": None if position is None else getattr(position, name) for name in names}


def _nothing_published() -> NotPossible:
    return NotPossible("Nothing has been published yet: run `okr dag start okr_etl_dag` (`make demo` does this).")
