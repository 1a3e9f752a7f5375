"""Request bodies and responses of /admin/dags."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from serving.schemas import Body, Text

RUN_ID = "api__2f7c1d0be8b94a1e9c3d5f6a7b8c9d0e"
EXAMPLE_RUN: dict[str, Any] = {
    "dag_id": "okr_etl_dag", "run_id": RUN_ID, "state": "running", "run_type": "manual",
    "queued_at": "2026-11-20T12:00:00Z", "started_at": "2026-11-20T12:00:01Z", "ended_at": None, "conf": {},
}  # fmt: skip
EXAMPLE_DAG: dict[str, Any] = {
    "dag_id": "okr_etl_dag", "description": None, "schedule": "At 03:00", "is_paused": False,
    "has_import_errors": False, "runs": [EXAMPLE_RUN],
}  # fmt: skip
EXAMPLE_STARTED = {
    "run": {**EXAMPLE_RUN, "state": "queued", "started_at": None}, "is_new": True,
    "status_url": f"/admin/dags/okr_etl_dag/runs/{RUN_ID}",
}  # fmt: skip
EXAMPLE_WATCHED = {
    **EXAMPLE_RUN, "state": "failed", "ended_at": "2026-11-20T12:00:20Z",
    "tasks": [{
        "task_id": "gate_raw", "state": "failed", "started_at": "2026-11-20T12:00:02Z",
        "ended_at": "2026-11-20T12:00:19Z", "tries": 1, "reason": "Gate raw failed: 81 of 90 values are implausible.",
    }],
}  # fmt: skip
Conf = dict[Text, bool | int | float | Text]


class RunRecord(BaseModel):
    """A run of a DAG."""

    dag_id: str
    run_id: str
    state: str = Field(description="queued, running, success or failed.")
    run_type: str = Field(description="manual, scheduled or asset_triggered.")
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    conf: dict[str, Any] = Field(description="The parameters with which the run was started.")


class TaskRecord(BaseModel):
    """A task of a run."""

    task_id: str
    state: str | None = Field(
        description="For example running, success, failed or upstream_failed; null: not scheduled."
    )
    started_at: datetime | None
    ended_at: datetime | None
    tries: int
    reason: str | None = Field(description="Why the task failed; null if it did not.")


class WatchedRunResponse(RunRecord):
    """A run with its tasks."""

    tasks: list[TaskRecord]


class DagRecord(BaseModel):
    """A DAG with its newest runs."""

    dag_id: str
    description: str | None
    schedule: str | None
    is_paused: bool = Field(description="Whether the DAG is paused. Its runs do not start while it is.")
    has_import_errors: bool
    runs: list[RunRecord]


class DagsResponse(BaseModel):
    """All DAGs, sorted by id."""

    dags: list[DagRecord]


class RunsResponse(BaseModel):
    """The newest runs of a DAG, newest first."""

    runs: list[RunRecord]


class StartBody(Body):
    """The parameters of a run, e.g. `{"accept_raw_batch": true}`. The DAG defines their names and types."""

    conf: Annotated[Conf, Field(max_length=20)] = Field(default_factory=dict)


class StartedRunResponse(BaseModel):
    """A run, and where it can be watched."""

    run: RunRecord
    is_new: bool = Field(description="Whether this request started it.")
    status_url: str
