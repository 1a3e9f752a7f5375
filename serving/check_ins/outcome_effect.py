"""What a check-in does to the outcome of a key result that was closed, as the marts then say it (ADR 19).

The latest closing check-in of a cycle says how the key result ended there: one with `is_final`, or any after its cycle
was closed. Where there is none, a closed cycle ends it with the latest check-in of before. A correction keeps
its moment.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from serving.publication_reader import Row


class Effect(StrEnum):
    """What becomes of the outcome."""

    STAYS = "closed"
    BECOMES_THIS = "closes_again"
    BECOMES_OTHER = "closed_by_another"
    REOPENS = "reopens"
    CLOSES = "closes"


@dataclass(frozen=True)
class Sent:
    """A check-in that was sent, or a correction: `at` is the moment that it is of."""

    check_in_id: str
    at: datetime
    is_final: bool


def is_archived(sent: Sent, known: Row) -> bool:
    """Return whether the key result was archived when the check-in was true: itself, or by its objective or team."""
    archived_at = known.get("archived_at")
    return archived_at is not None and sent.at >= archived_at


def closes(sent: Sent, known: Row) -> bool:
    """Return whether the check-in counts as a closing one."""
    cycle_closed_at = known["cycle_closed_at"]
    is_after_cycle = cycle_closed_at is not None and sent.at > cycle_closed_at
    return (sent.is_final or is_after_cycle) and not is_archived(sent, known)


def effect_on_outcome(sent: Sent, known: Row) -> Effect | None:
    """Tell what a check-in does to an outcome; None where there is none and it makes none.

    `known`: the row of queries/published_key_result.sql, with the check-ins before this one.
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
