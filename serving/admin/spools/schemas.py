"""Responses of /admin/spools and /admin/prediction-log."""

from pydantic import BaseModel, Field

HOST = "okr-1"
EXAMPLE = {
    "source": "okr-api", "waiting": 0, "rejected": 1, "bytes": 512, "oldest_seconds": 3.5, "fill_ratio": 0.000005,
}  # fmt: skip
EXAMPLE_REJECTED = {
    "topic": "okr_user_events", "position": 17, "reason": "MSG_SIZE_TOO_LARGE", "key": "a3ItMTc=", "value": "e30=",
}  # fmt: skip
EXAMPLE_LOG = {
    "host": HOST, "posted": 120, "not_persisted": 0, "bytes": 40_960, "fill_ratio": 0.0002, "seconds_behind": 0.0,
}  # fmt: skip


class SpoolRecord(BaseModel):
    """The spool of a source: events that wait on this host's disk for the broker."""

    source: str
    waiting: int = Field(description="Events that the broker has not acknowledged yet.")
    rejected: int = Field(description="Events that the broker rejected permanently.")
    bytes: int
    oldest_seconds: float = Field(description="Age of the oldest event.")
    fill_ratio: float = Field(description="Share of the limit that is used; at 1, no more events are accepted.")


class SpoolsResponse(BaseModel):
    """The spools of the host that answered."""

    host: str
    spools: list[SpoolRecord]


class RejectedEventRecord(BaseModel):
    """An event that the broker rejected permanently."""

    topic: str
    position: int = Field(description="Position in the spool.")
    reason: str
    key: str | None = Field(description="The key, in base64.")
    value: str = Field(description="The value, in base64.")


class RejectedEventsResponse(BaseModel):
    """Events of a spool that the broker rejected permanently, oldest first."""

    host: str
    source: str
    rejected_events: list[RejectedEventRecord]


class RequeueResponse(BaseModel):
    """The number of events that were returned to the queue."""

    host: str
    source: str
    requeued: int


class PredictionLogResponse(BaseModel):
    """The prediction log of the host that answered."""

    host: str
    posted: int = Field(
        description="Predictions, served or of shadow arms, that this worker has recorded since it started."
    )
    not_persisted: int = Field(description="Predictions that this worker could not record, so they were not served.")
    bytes: int = Field(description="Size of the log on disk.")
    fill_ratio: float
    seconds_behind: float = Field(description="For how long recorded predictions have been waiting for the broker.")
