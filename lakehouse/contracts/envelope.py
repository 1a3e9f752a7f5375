"""The envelope of every event: CloudEvents 1.0 in structured JSON."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from lakehouse.contracts.fields import Id, Moment


class Envelope(msgspec.Struct, kw_only=True, frozen=True):
    """One event as sent: typed attributes, and `data` as the original bytes, so that unknown fields are preserved.

    `recordedtime` is the CloudEvents extension of that name: when the source recorded the fact, if that differs from
    the log's time (imported history). `recordedassumed` marks imported history without its own recording time.
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
