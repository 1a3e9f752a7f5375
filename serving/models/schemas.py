"""Request and response bodies of /models."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from serving.predictor.schemas import ModelName
from serving.schemas import Body


class ModelVersion(BaseModel):
    """A registered version."""

    version: str
    aliases: list[str]
    created_at: datetime | None
    metrics: dict[str, float]


class LoadedModel(BaseModel):
    """A version that a worker has loaded."""

    name: str = Field(description="Name of the model, or of its rule.")
    version: str
    role: str
    is_active: bool = Field(description="Whether it predicts outside of experiments.")
    arm: str | None = Field(description="The arm of the running experiment that it predicts for; null if none.")
    loaded_at: datetime


class Worker(BaseModel):
    """A live worker, with the versions that it has loaded."""

    worker_id: str
    host: str
    process_id: int
    started_at: datetime
    directive_id: int | None = Field(description="The newest directive that the worker has applied; null: none yet.")
    problem: str | None = Field(description="Why the worker does not serve the selected version; null if it does.")
    versions: list[LoadedModel]


class Directive(BaseModel):
    """The version that should serve, by number, or an alias to follow. Id 0 is the default: follow the champion."""

    directive_id: int
    reference: str
    created_at: datetime | None
    created_by: str | None = Field(description="Null for callers without the right `read-system`.")


class RunningArm(BaseModel):
    """An arm of the running experiment."""

    name: str
    reference: str
    share: float
    is_shadow: bool
    stop_reason: str | None = Field(description="Why a guardrail stopped the arm; null while it runs.")


class RunningExperiment(BaseModel):
    """The experiment that is running with versions of a model."""

    name: str
    unit: str
    started_at: datetime | None
    arms: list[RunningArm]


class Model(BaseModel):
    """A served model. `input` and `output` are the JSON Schemas of its features and of its output."""

    name: str
    description: str
    takes_key_result_ids: bool
    input: dict[str, Any]
    output: dict[str, Any]
    active: ModelName | None
    detail: str | None = Field(
        description="Why the champion is not serving here; null if it is, and for callers without `read-system`."
    )
    directive: Directive
    experiment: RunningExperiment | None
    versions: list[ModelVersion]
    workers: list[Worker] = Field(description="Empty for callers without the right `read-system`.")


class ModelsResponse(BaseModel):
    """All served models. The other fields describe the key-result forecast: its active version and all versions."""

    active: ModelName
    detail: str | None = Field(description="The reason why the champion is not serving; null if it is.")
    model_name: str
    versions: list[ModelVersion]
    models: list[Model]


class LoadBody(Body):
    """The version that should serve on all workers, by number, or the alias to follow from now on.

    The directive survives restarts. `{"alias": "champion"}` follows the champion again.
    """

    alias: Literal["champion", "challenger"] | None = None
    version: Annotated[str, Field(pattern=r"^[0-9]{1,9}$")] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "LoadBody":
        if (self.alias is None) == (self.version is None):
            raise ValueError('expected either "alias" or "version"')
        return self


class LoadResponse(ModelsResponse):
    """The served models after the load. `loading` lists the live workers and what each has loaded."""

    is_loaded: bool = Field(
        description="Whether all live workers serve the version. If not, see each worker's problem."
    )
    directive: Directive
    loading: list[Worker]
