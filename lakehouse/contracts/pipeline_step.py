"""Contracts of events about pipeline steps."""

from typing import Literal

import msgspec

from lakehouse.contracts.fields import Id, Moment, Title
from lakehouse.contracts.registry import event


@event("okr.pipeline_step.finished.v1", topic="okr_data_pipeline", key="run_id")
class PipelineStepFinished(msgspec.Struct, kw_only=True, frozen=True):
    """A step of a pipeline run finished; `rows` is the number of rows that it wrote or checked."""

    pipeline: Id
    step: Id
    run_id: Id
    state: Literal["success", "failed"]
    started_at: Moment
    finished_at: Moment
    rows: int | None = None
    message: Title | None = None
