"""Quarantine of single events: list, release and withhold them. The next build applies the decisions."""

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
