"""Answers of /admin."""

from datetime import datetime

from pydantic import BaseModel, Field


class PublicationRecord(BaseModel):
    """A publication, current or past."""

    publication_id: int
    published_at: datetime
    data_as_of: datetime
    dbt_run_id: str
    model_version: str | None
    is_current: bool
    rows: dict[str, int] = Field(description="Rows by mart.")


class GateResult(BaseModel):
    """A result of a quality gate and how much it checked."""

    gate_result_id: int
    gate: str
    run_id: str
    validated_at: datetime
    passed: bool
    checked_rows: int
    expectations: int
    failed: int


class OutboxCounts(BaseModel):
    """Our own events: three counts since this process started, and what the spool on disk holds now."""

    posted: int = Field(description="Events that were kept to be sent.")
    sent: int = Field(description="Events that the broker acknowledged, those that an earlier process left among them.")
    not_persisted: int = Field(description="Events that could not be kept; whoever sent them got an error.")
    waiting: int = Field(description="Events on disk that the broker does not have yet.")
    rejected: int = Field(description="Events on disk that the broker permanently rejected.")


class AdminState(BaseModel):
    """What an operator asks first."""

    publications: list[PublicationRecord]
    gate_results: list[GateResult]
    outbox: OutboxCounts = Field(description="Of what users say: check-ins.")
    forecast_log: OutboxCounts = Field(description="Of what the service notes of itself: forecasts served, latencies.")
