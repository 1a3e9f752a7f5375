"""Bodies and responses of /admin/publications."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from serving.schemas import Body

EXAMPLE_PUBLICATION = {
    "publication_id": 41, "published_at": "2026-11-20T12:10:00Z", "data_as_of": "2026-11-20T12:00:00Z",
    "dbt_run_id": "scheduled__2026-11-20T12:05:00+00:00", "model_version": "7", "is_current": True,
    "rolled_back_at": None, "resumed_at": None, "rows": {"dim_key_result": 120},
}  # fmt: skip
EXAMPLE_HOLD = {
    "held_since": "2026-11-20T13:00:00Z", "kind": "rollback", "publication_id": 42, "run_id": "manual", "gate": None,
    "runs_held": 1, "reason": "publication 42 was rolled back by an operator",
}  # fmt: skip


class PublicationRecord(BaseModel):
    """A publication, current or past."""

    publication_id: int
    published_at: datetime
    data_as_of: datetime
    dbt_run_id: str = Field(
        description="Id of the build: the id of the Airflow run, followed by `~2`, `~3` ... from the second try on."
    )
    model_version: str | None
    is_current: bool
    rolled_back_at: datetime | None = Field(None, description="When it was rolled back; null if it was not.")
    resumed_at: datetime | None = Field(None, description="When publications were resumed after its rollback.")
    rows: dict[str, int] = Field(description="Rows by mart.")


class HoldRecord(BaseModel):
    """A reason why newer data is not published."""

    held_since: datetime
    kind: str
    publication_id: int | None
    run_id: str
    gate: str | None
    runs_held: int
    reason: str


class PublicationsResponse(BaseModel):
    """A page of publications, newest first, and the reasons why publications are on hold."""

    publications: list[PublicationRecord]
    holds: list[HoldRecord]
    next_cursor: str | None


class CurrentPublicationResponse(BaseModel):
    """The current publication, and the reasons why publications are on hold."""

    publication: PublicationRecord
    holds: list[HoldRecord]


class RollbackBody(Body):
    """Which publication to roll back."""

    current_publication_id: Annotated[
        int, Field(ge=1, le=2**63 - 1, description="Id of the current publication, which is rolled back.")
    ]


class RollbackResponse(BaseModel):
    """The result of a rollback."""

    rolled_back: int
    is_changed: bool = Field(description="False if an earlier request had already rolled it back.")
    current: PublicationRecord


class ResumeResponse(BaseModel):
    """The result of resuming publications."""

    is_changed: bool = Field(description="False if publications were not on hold after a rollback.")
    dropped: list[int] = Field(description="Publications that were rolled back; they are dropped.")
