"""Quarantine of single events: list, release and withhold them. The next build applies the decisions."""

from lakehouse.quarantine.review import (
    APPLIES,
    MANUAL,
    Decision,
    PendingDecision,
    Position,
    ReviewedEvent,
    decide,
    pending_decisions,
    reviewed_events,
    withheld_count,
)

__all__ = [
    "APPLIES",
    "MANUAL",
    "Decision",
    "PendingDecision",
    "Position",
    "ReviewedEvent",
    "decide",
    "pending_decisions",
    "reviewed_events",
    "withheld_count",
]
