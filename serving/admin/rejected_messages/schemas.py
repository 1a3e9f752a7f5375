"""Responses of /admin/rejected-messages."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

EXAMPLE = {
    "topic": "okr_user_events", "partition": 2, "offset": 4711, "logged_at": "2026-11-20T11:00:00Z",
    "reason": "not_json", "detail": "The value is not JSON: unexpected end of data.", "key": "a3ItMTc=",
    "value": "ew==", "headers": None,
}  # fmt: skip


class RejectedMessageRecord(BaseModel):
    """A message that violates its contract, with its position in the log."""

    topic: str
    partition: int
    offset: int
    logged_at: datetime
    reason: str = Field(description="A stable code.")
    detail: str = Field(description="Why the current contract rejects it, in words.")
    key: str | None = Field(description="The raw key, in base64.")
    value: str | None = Field(description="The raw value, in base64.")
    headers: Any = Field(description="Pairs of a name and a value in base64.")


class RejectedMessagesResponse(BaseModel):
    """A page of rejected messages, newest first."""

    rejected_messages: list[RejectedMessageRecord]
    by_reason: dict[str, int] = Field(description="All rejected messages of the topics, by reason.")
    next_cursor: str | None
