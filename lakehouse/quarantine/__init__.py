"""Single events that rules found: listed, released, withheld. What is decided here, the next build follows."""

from lakehouse.quarantine.review import (
    MANUAL,
    Decision,
    PendingDecision,
    ReviewedEvent,
    decide,
    pending_decisions,
    reviewed_events,
    withheld_count,
)

__all__ = [
    "MANUAL",
    "Decision",
    "PendingDecision",
    "ReviewedEvent",
    "decide",
    "pending_decisions",
    "reviewed_events",
    "withheld_count",
]
