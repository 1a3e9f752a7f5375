"""Quarantine of individual events: list, release and withhold them. The next build applies the decisions."""

from lakehouse.quarantine.review import (
    MANUAL,
    WHEN_APPLIED,
    Decision,
    EventForReview,
    PendingDecision,
    ReviewCursor,
    decide,
    events_for_review,
    pending_decisions,
    review_counts,
)

__all__ = [
    "MANUAL",
    "WHEN_APPLIED",
    "Decision",
    "EventForReview",
    "PendingDecision",
    "ReviewCursor",
    "decide",
    "events_for_review",
    "pending_decisions",
    "review_counts",
]
