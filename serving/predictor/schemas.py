"""Bodies and answers of /predict and /models."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from lakehouse.scoring import ACHIEVED_SCORE
from serving.schemas import Body, Id, PublishedResponse

IDS_MOST = 1_000
Role = Literal["champion", "challenger", "pacing_rule"]


class PredictBody(Body):
    """Key results to forecast, each by its natural key; the answer keeps the order."""

    key_result_ids: Annotated[list[Id], Field(min_length=1, max_length=IDS_MOST)]


class ModelName(BaseModel):
    """Which model answered. The pacing rule answers while no model has been promoted, and says so here."""

    name: str
    version: str
    role: Role


class PredictionItem(BaseModel):
    """A forecast of one key result, or why there is none: what is closed, archived or over is never forecast."""

    key_result_id: str
    status: Literal["forecast", "unknown", "not_forecastable", "closed", "archived", "awaiting_close"]
    detail: str | None = Field(None, description="Why there is no forecast; null where there is one.")
    cycle_id: str | None = Field(None, description="The cycle whose end the forecast is about.")
    final_score: float | None = Field(None, description="How it ended; null unless it is closed.")
    is_achieved: bool | None = Field(None, description="Whether it ended as achieved; null unless it is closed.")
    prediction_id: str | None = Field(None, description="The id under which marts.fct_prediction will hold it.")
    probability: float | None = Field(None, description=f"P(final score >= {ACHIEVED_SCORE}), calibrated.")
    low: float | None = Field(None, description="Lower end of the interval of the final score (0-1).")
    high: float | None = Field(None, description="Upper end of the interval of the final score (0-1).")
    level: float | None = Field(None, description="Share of final scores that such intervals hold.")
    reasons: list[str] = Field(default_factory=list, description="What moved the probability most, strongest first.")
    as_of: datetime | None = Field(None, description="The moment that the forecast's features describe, UTC.")


class PredictAnswer(PublishedResponse):
    """Forecasts in the order of the ids asked for, all by one model from one publication."""

    model: ModelName
    predictions: list[PredictionItem]


class ModelVersion(BaseModel):
    """A version in the registry."""

    version: str
    aliases: list[str]
    created_at: datetime | None
    metrics: dict[str, float]


class ModelsAnswer(BaseModel):
    """What answers now, and every version that the registry holds, newest first."""

    answering: ModelName
    detail: str | None = Field(description="Why it is not the champion that answers; null if it is.")
    model_name: str
    versions: list[ModelVersion]


class LoadBody(Body):
    """Which version to load now: an alias, or a version (then it answers until another load or a restart)."""

    alias: Literal["champion", "challenger"] | None = None
    version: Annotated[str, Field(pattern=r"^[0-9]{1,9}$")] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "LoadBody":
        if (self.alias is None) == (self.version is None):
            raise ValueError('expected either "alias" or "version"')
        return self
