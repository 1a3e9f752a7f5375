"""Quarantine of single events: list, release and withhold them. The next build applies the decisions."""

from lakehouse.quarantine.review import (
    APPLIES,
    MANUAL,
    Decision,
    EventForReview,
    PendingDecision,
    Position,
    decide,
    events_for_review,
    pending_decisions,
    review_counts,
)

__all__ = [
    "APPLIES",
    "MANUAL",
    "Decision",
    "EventForReview",
    "PendingDecision",
    "Position",
    "decide",
    "events_for_review",
    "pending_decisions",
    "review_counts",
]
