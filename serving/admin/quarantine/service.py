"""Quarantine for operators: the functions of `okr quarantine`. This module does not use FastAPI."""

from collections.abc import Sequence
from uuid import UUID

from lakehouse import quarantine
from lakehouse.quarantine import Decision, EventForReview, PendingDecision, ReviewCursor
from lakehouse.settings import Settings
from serving.admin.changes import Changes, Operator
from serving.admin.cursors import Cursors, Page
from serving.admin.operator_settings import operator_setting

CURSORS = Cursors("/admin/quarantine", ReviewCursor)
SHOWN_IDS = 100  # in the audit log


class Quarantine:
    """Lists flagged and withheld events, and records decisions on them."""

    def __init__(self, settings: Settings, changes: Changes) -> None:
        self._settings = settings
        self._changes = changes

    def page(self, limit: int, cursor: str | None, *, withheld_only: bool) -> Page[EventForReview]:
        """Return the flagged and withheld events of the current publication, withheld ones first, then newest first.

        Raises:
            ContractViolation: this list did not return the cursor.
            NotPossible: nothing has been published yet.
        """
        found = quarantine.events_for_review(
            self._settings.require("dsn_serving"),
            withheld_only=withheld_only,
            limit=limit + 1,
            after=CURSORS.decode(cursor),
        )
        return CURSORS.page(found, limit, _position)

    def pending(self) -> list[PendingDecision]:
        """Return the decisions that the current publication does not include yet, oldest first."""
        return quarantine.pending_decisions(self._settings.require("dsn_serving"))

    def decide(
        self, event_ids: Sequence[UUID], decision: Decision, reason: str | None, operator: Operator
    ) -> list[UUID]:
        """Record a decision on events, and return their ids. It applies from the next build; repeats change nothing.

        Raises:
            NotPossible: an event is not loaded, or an event to be released is neither withheld nor flagged. No decision
                is recorded then.
        """
        ids = sorted(set(event_ids))
        with self._changes.recorded(
            operator, f"event.{decision}", str(ids[0]) if len(ids) == 1 else "events"
        ) as details:
            details |= {"events": len(ids), "event_ids": [str(each) for each in ids[:SHOWN_IDS]]}
            login = operator_setting(self._settings, "dsn_transform", "decide on events")
            quarantine.decide(login, ids, decision, by=operator.name, reason=reason)
        return ids


def _position(event: EventForReview) -> ReviewCursor:
    return ReviewCursor(event.is_withheld, event.logged_at, UUID(event.event_id), event.rule)
