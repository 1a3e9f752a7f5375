"""Bodies and responses of /admin/quarantine."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from serving.schemas import Body, Text

EVENT_ID = "0199a3f0-7a51-7c3e-9d1b-2f6f0a4b8c11"
EXAMPLE = {
    "event_id": EVENT_ID, "rule": "implausible_progress", "event_type": "okr.check_in.recorded.v1", "subject": "kr-17",
    "occurred_at": "2026-11-20T11:00:00Z", "logged_at": "2026-11-20T11:00:01Z", "reason": "check-in "
    "ci-9: its value 1400 is 140 times the targeted gain away from the baseline of key result kr-17.",
    "decision": None, "decision_reason": None, "is_withheld": True,
}  # fmt: skip


class ReviewedEventRecord(BaseModel):
    """An event that a rule flagged or withheld, or on which an operator decided."""

    event_id: UUID
    rule: str
    event_type: str
    subject: str
    occurred_at: datetime
    logged_at: datetime
    reason: str = Field(description="Why the rule flagged or withheld the event.")
    decision: str | None
    decision_reason: str | None = Field(description="The reason that the operator gave for the decision.")
    is_withheld: bool = Field(description="Whether the current publication excludes the event.")


class PendingDecisionRecord(BaseModel):
    """A decision that the current publication does not include yet."""

    event_id: UUID
    rule: str
    decision: str


class QuarantineResponse(BaseModel):
    """A page of flagged and withheld events, and the decisions that are not published yet."""

    events: list[ReviewedEventRecord]
    pending: list[PendingDecisionRecord]
    next_cursor: str | None


class DecisionBody(Body):
    """The events to decide on, and the reason."""

    # Strict mode would reject the ids, because JSON has only strings.
    event_ids: Annotated[
        list[Annotated[UUID, Field(strict=False)]],
        Field(min_length=1, max_length=1_000, description="Ids of loaded events."),
    ]
    reason: Annotated[
        Annotated[Text, StringConstraints(max_length=10_000)] | None,
        Field(description="The reason, recorded with the decision."),
    ] = None


class DecisionResponse(BaseModel):
    """The recorded decision."""

    decision: Literal["release", "withhold"]
    event_ids: list[UUID]
    applies: str = Field(description="When the decision takes effect in the marts and the state tables.")
