"""Bodies and responses of /admin/experiments."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from serving.experiments.experiment import State, Unit
from serving.models.catalog import DEFAULT_MODEL
from serving.schemas import Body, Id, Line

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
EXAMPLE_BODY = {
    "name": "challenger-in-december", "unit": "key_result",
    "arms": [{"name": "new", "reference": "challenger", "share": 0.5}],
    "guardrails": {"max_error_share": 0.05, "min_calls": 20, "window_minutes": 5},
}  # fmt: skip
EXAMPLE = {
    **EXAMPLE_BODY, "model_name": DEFAULT_MODEL, "salt": "9f2c4a7be1d03355", "state": "running", "stopped_arms": {},
    "arms": [{"name": "new", "reference": "challenger", "share": 0.5, "is_shadow": False}],
    "guardrails": {
        "max_error_share": 0.05, "max_latency_ms": None, "min_calls": 20, "window_minutes": 5,
        "max_calibration_gap": None, "min_key_results": 50,
    },
    "created_at": "2026-11-20T12:00:00Z", "created_by": "admin", "started_at": "2026-11-20T12:01:00Z",
    "stopped_at": None, "stop_reason": None,
}  # fmt: skip


class ArmRecord(Body):
    """An arm: the version, or the alias, that predicts for a share of the units."""

    name: Id
    reference: Annotated[Id, Field(description="A version number, or an alias to follow.")]
    share: Share
    is_shadow: Annotated[bool, Field(description="Predict in the background; predictions are never returned.")] = False


class GuardrailsRecord(Body):
    """Limits that stop an arm automatically."""

    max_error_share: Annotated[float, Field(ge=0, le=1)] | None = 0.05
    max_latency_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    min_calls: Annotated[int, Field(ge=1, le=1_000_000_000)] = 20
    window_minutes: Annotated[int, Field(ge=1, le=1_440)] = 5
    max_calibration_gap: Annotated[float, Field(gt=0, le=1)] | None = None
    min_key_results: Annotated[int, Field(ge=1, le=1_000_000)] = 50


class ExperimentBody(Body):
    """A new experiment, which does not start automatically."""

    name: Id
    arms: Annotated[list[ArmRecord], Field(min_length=1, max_length=20)]
    unit: Unit = "key_result"
    model_name: Id = DEFAULT_MODEL
    guardrails: GuardrailsRecord = Field(default_factory=GuardrailsRecord)
    salt: Annotated[Id | None, Field(description="Salt of the assignment; random if omitted.")] = None


class StopBody(Body):
    """Why an experiment is stopped."""

    reason: Annotated[Line, StringConstraints(min_length=1, max_length=1_000)]


class ExperimentRecord(BaseModel):
    """An experiment."""

    name: str
    model_name: str
    unit: Unit
    salt: str
    arms: list[ArmRecord]
    guardrails: GuardrailsRecord
    state: State
    stopped_arms: dict[str, str] = Field(description="Arms that a guardrail stopped, and the reasons.")
    created_at: datetime
    created_by: str
    started_at: datetime | None
    stopped_at: datetime | None
    stop_reason: str | None


class ExperimentsResponse(BaseModel):
    """A page of experiments, newest first."""

    experiments: list[ExperimentRecord]
    next_cursor: str | None


class RecentCalls(BaseModel):
    """Calls of an arm's model on all workers within the guardrails' window."""

    arm: str
    calls: int
    failed_calls: int
    slow_calls: int


class ExperimentResponse(ExperimentRecord):
    """An experiment with the recent calls of its arms."""

    recent_calls: list[RecentCalls]
