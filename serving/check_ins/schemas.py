"""Request bodies and responses of /v1/check-ins."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from serving.schemas import Body, Id, Ratio, Text

LARGEST_VALUE = 1e15


class CheckInContent(Body):
    """The content of a check-in. The value is in the key result's unit."""

    value: Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE, allow_inf_nan=False)]
    confidence: Ratio | None = Field(None, description="The owner's confidence that the target will be reached, 0-1.")
    note: Annotated[Text, StringConstraints(max_length=10_000)] | None = None
    is_final: bool = Field(False, description="Whether to close the key result with this value as its final value.")


class CheckIn(CheckInContent):
    """A key result's current value."""

    key_result_id: Id
    check_in_id: Id | None = Field(
        None,
        description="Your id for the check-in. Resending the same content has no effect; other content returns 409.",
    )


class Correction(CheckInContent):
    """The complete corrected content of a check-in. An omitted field is reset to its default."""

    key_result_id: Id | None = Field(None, description="If given, it must be the key result of the check-in.")


class CheckInWarning(BaseModel):
    """A warning about an accepted check-in."""

    code: str = Field(description="A stable code, e.g. implausible_value.")
    detail: str


class CheckInAccepted(BaseModel):
    """The check-in is persisted. It appears in the marts with the next publication, usually within a minute.

    Repeating the request returns this response with the header `Idempotent-Replayed: true` and changes nothing.
    """

    event_id: str
    check_in_id: str
    key_result_id: str
    occurred_at: datetime
    is_acknowledged: bool = Field(
        description="Whether the broker has acknowledged the event. If not, it is sent when the broker is available."
    )
    warnings: list[CheckInWarning] = Field(description="Points that the caller should check; usually empty.")
