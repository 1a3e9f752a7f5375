"""Predict how a check-in will change the outcome of a key result in the marts (ADR 19), and whether it closes it.

The latest closing check-in in a cycle determines the key result's outcome in that cycle. A check-in is a closing one if
it has `is_final` or was made after the cycle was closed. If a closed cycle has no closing check-in, the latest check-in
before it was closed determines the outcome. A correction keeps the time of its check-in.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from serving.publication_reader import Row


class Effect(StrEnum):
    """What a check-in does to the outcome of its key result. The values are warning codes."""

    STAYS = "closed"  # the key result was closed, and its outcome stays the same
    BECOMES_THIS = "closes_again"  # the key result was closed, and its outcome now comes from this check-in
    BECOMES_OTHER = "closed_by_another"  # it was closed by this check-in; its outcome now comes from another check-in
    REOPENS = "reopens"  # it was closed by this check-in, whose correction is no longer final
    CLOSES = "closes"  # it was open, and this check-in closes it without `is_final`, because its cycle was closed


@dataclass(frozen=True)
class Sent:
    """A check-in or correction from a request. `at` is the time of the check-in."""

    check_in_id: str
    at: datetime
    is_final: bool


def is_archived(sent: Sent, known: Row) -> bool:
    """Return whether the key result, its objective or its team was archived at the time of the check-in."""
    archived_at = known.get("archived_at")
    return archived_at is not None and sent.at >= archived_at


def closes(sent: Sent, known: Row) -> bool:
    """Return whether this is a closing check-in."""
    cycle_closed_at = known["cycle_closed_at"]
    is_after_cycle = cycle_closed_at is not None and sent.at > cycle_closed_at
    return (sent.is_final or is_after_cycle) and not is_archived(sent, known)


def effect_on_outcome(sent: Sent, known: Row) -> Effect | None:
    """Return the effect on the outcome, or None if an open key result stays open or is closed by `is_final`.

    `known` is the row from queries/published_key_result.sql, which does not include this check-in.
    """
    was_closed = known["status"] in {"achieved", "missed"}
    cycle_closed_at = known["cycle_closed_at"]
    is_closing = closes(sent, known)
    if not was_closed:
        return Effect.CLOSES if is_closing and not sent.is_final else None
    if not is_closing and not known["is_other_closing"] and cycle_closed_at is None:
        return Effect.REOPENS if known["deciding_id"] == sent.check_in_id else Effect.STAYS
    if known["other_id"] is None or (is_closing, sent.at) >= (known["is_other_closing"], known["other_at"]):
        return Effect.BECOMES_THIS
    return Effect.STAYS if known["deciding_id"] == known["other_id"] else Effect.BECOMES_OTHER
