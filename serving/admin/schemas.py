"""Responses of /admin."""

from pydantic import BaseModel, Field

from serving.admin.gate_results.schemas import GateResult
from serving.admin.publications.schemas import PublicationRecord


class OutboxCounts(BaseModel):
    """Event counts: `posted`, `sent`, `not_persisted` since the process started, and the current state of the spool."""

    posted: int = Field(description="Events that were written to the spool.")
    sent: int = Field(
        description="Events that the broker acknowledged, including events that an earlier process had spooled."
    )
    not_persisted: int = Field(
        description="Events that could not be written to the spool, which the caller received as an error."
    )
    waiting: int = Field(description="Events in the spool that the broker has not acknowledged yet.")
    rejected: int = Field(description="Events in the spool that the broker rejected permanently.")


class PredictionLogCounts(BaseModel):
    """Counts of one worker since it started, and the state of the log of all workers of its host."""

    posted: int = Field(description="Predictions, served or of shadow arms, that were recorded.")
    not_persisted: int = Field(description="Predictions that could not be recorded, so they were not served.")
    bytes: int = Field(description="Size of the log on disk.")
    seconds_behind: float = Field(description="For how long recorded predictions have been waiting for the broker.")


class AdminState(BaseModel):
    """Publications, gate results, and the state of the spools and the prediction log."""

    publications: list[PublicationRecord]
    gate_results: list[GateResult]
    outbox: OutboxCounts = Field(description="Check-ins.")
    telemetry: OutboxCounts = Field(description="Request latencies.")
    prediction_log: PredictionLogCounts = Field(description="Served and shadow predictions.")
