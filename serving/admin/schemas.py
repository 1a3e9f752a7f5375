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
    """A judgement of a quality gate and how much it checked."""

    gate_result_id: int
    gate: str
    run_id: str
    judged_at: datetime
    passed: bool
    checked_rows: int
    expectations: int
    failed: int


class OutboxCounts(BaseModel):
    """Our own events since this process started."""

    posted: int = Field(description="Served predictions that were queued.")
    sent: int = Field(description="Events that the broker acknowledged.")
    lost: int = Field(description="Events given up because the broker was away for too long.")


class AdminState(BaseModel):
    """What an operator asks first."""

    publications: list[PublicationRecord]
    gate_results: list[GateResult]
    outbox: OutboxCounts
