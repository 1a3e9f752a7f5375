"""Bodies and answers of /v1/check-ins."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from serving.schemas import Body, Id, Ratio, Text

LARGEST_VALUE = 1e15


class CheckInContent(Body):
    """What a check-in says, in its key result's own unit."""

    value: Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE, allow_inf_nan=False)]
    confidence: Ratio | None = Field(None, description="How sure the owner is that the target will be reached, 0-1.")
    note: Annotated[Text, StringConstraints(max_length=10_000)] | None = None
    is_final: bool = Field(False, description="Closes the key result: the value is its final one.")


class CheckIn(CheckInContent):
    """A key result's value now."""

    key_result_id: Id
    check_in_id: Id | None = Field(
        None, description="Your own id. Sent again with the same content it changes nothing; with another it is a 409."
    )


class Correction(CheckInContent):
    """What a check-in should have said: all of it, for what is left out is emptied."""

    key_result_id: Id | None = Field(None, description="If given, it must be the one that the check-in belongs to.")


class CheckInWarning(BaseModel):
    """Something surprising about a check-in that was accepted."""

    code: str = Field(description="A stable word, e.g. implausible_value.")
    detail: str


class CheckInAccepted(BaseModel):
    """It is kept on disk. Once in the log it shows in the marts with the next publication, usually within a minute.

    A repeated request gets this answer again, with the header `Idempotent-Replayed: true`, and changes nothing.
    """

    event_id: str
    check_in_id: str
    key_result_id: str
    occurred_at: datetime
    is_acknowledged: bool = Field(
        description="Whether the broker has acknowledged it; if not, it is sent when the broker is available."
    )
    warnings: list[CheckInWarning] = Field(description="What should be looked at again; empty as a rule.")
