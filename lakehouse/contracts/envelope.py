"""CloudEvents 1.0 in structured JSON: the frame around every event."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from lakehouse.contracts.fields import Id, Moment


class Envelope(msgspec.Struct, kw_only=True, frozen=True):
    """One event as it travels: frame typed, `data` still as the bytes that were sent, so unknown fields survive.

    `recordedtime` is CloudEvents' extension of that name: when the source recorded the fact, where that is not when
    the log got it (imported history). `recordedassumed` marks history that brings no recording time of its own.
    """

    id: UUID
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    type: Annotated[str, msgspec.Meta(pattern=r"^okr\.[a-z_]+\.[a-z_]+\.v[0-9]+$")]
    time: Moment
    subject: Id
    data: msgspec.Raw
    specversion: Literal["1.0"] = "1.0"
    dataschema: str | None = None
    recordedtime: Moment | None = None
    recordedassumed: bool = False
