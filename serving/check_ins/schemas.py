"""Request bodies and responses of /v1/check-ins."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from serving.schemas import Body, Id, Ratio, Text

LARGEST_VALUE = 1e15


class CheckInContent(Body):
    """The content of a check-in, in its key result's unit."""

    value: Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE, allow_inf_nan=False)]
    confidence: Ratio | None = Field(None, description="The owner's confidence that the target will be reached, 0-1.")
    note: Annotated[Text, StringConstraints(max_length=10_000)] | None = None
    is_final: bool = Field(False, description="Close the key result with this value as its final value.")


class CheckIn(CheckInContent):
    """A key result's current value."""

    key_result_id: Id
    check_in_id: Id | None = Field(
        None,
        description="Your id for it. A repeat with the same content changes nothing; different content gets a 409.",
    )


class Correction(CheckInContent):
    """The complete corrected content of a check-in; an omitted field becomes empty."""

    key_result_id: Id | None = Field(None, description="If given, it must be the check-in's key result.")


class CheckInWarning(BaseModel):
    """A warning about an accepted check-in."""

    code: str = Field(description="A stable code, e.g. implausible_value.")
    detail: str


class CheckInAccepted(BaseModel):
    """The check-in is persisted. It appears in the marts with the next publication, usually within a minute.

    A repeated request gets this response again, with the header `Idempotent-Replayed: true`, and changes nothing.
    """

    event_id: str
    check_in_id: str
    key_result_id: str
    occurred_at: datetime
    is_acknowledged: bool = Field(
        description="Whether the broker has acknowledged it; if not, it is sent when the broker is available."
    )
    warnings: list[CheckInWarning] = Field(description="What the caller should check; usually empty.")
