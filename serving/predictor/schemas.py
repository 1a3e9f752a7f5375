"""Request and response bodies of /predict and /models."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from lakehouse.achieved_score import ACHIEVED_SCORE
from serving.schemas import Body, Id, PublishedResponse

IDS_MOST = 1_000
Role = Literal["champion", "challenger", "pacing_rule"]


class PredictBody(Body):
    """The natural keys of the key results to forecast. The response has the same order."""

    key_result_ids: Annotated[list[Id], Field(min_length=1, max_length=IDS_MOST)]


class ModelName(BaseModel):
    """The model that served the forecasts. If no model has been promoted, this is the pacing rule."""

    name: str
    version: str
    role: Role


class PredictionItem(BaseModel):
    """A forecast of one key result, or why there is none. Closed, archived and ended key results are not forecast."""

    key_result_id: str
    status: Literal["forecast", "unknown", "not_forecastable", "closed", "archived", "awaiting_close"]
    detail: str | None = Field(None, description="The reason why there is no forecast; null if there is one.")
    cycle_id: str | None = Field(None, description="The cycle whose final score is forecast.")
    final_score: float | None = Field(None, description="The final score; null unless the key result is closed.")
    is_achieved: bool | None = Field(None, description="Whether it was achieved; null unless the key result is closed.")
    prediction_id: str | None = Field(None, description="The id of the forecast's row in marts.fct_prediction.")
    probability: float | None = Field(None, description=f"P(final score >= {ACHIEVED_SCORE}), calibrated.")
    low: float | None = Field(None, description="Lower end of the interval of the final score (0-1).")
    high: float | None = Field(None, description="Upper end of the interval of the final score (0-1).")
    level: float | None = Field(
        None, description="The share of final scores that such intervals should contain, e.g. 0.9."
    )
    reasons: list[str] = Field(
        default_factory=list, description="The strongest effects on the probability, strongest first."
    )
    as_of: datetime | None = Field(None, description="The time that the forecast's features describe, UTC.")


class PredictResponse(PublishedResponse):
    """Forecasts in the order of the requested ids, all from the same model and the same publication."""

    model: ModelName
    predictions: list[PredictionItem]


class ModelVersion(BaseModel):
    """A registered version."""

    version: str
    aliases: list[str]
    created_at: datetime | None
    metrics: dict[str, float]


class ModelsResponse(BaseModel):
    """The active model, and every registered version, newest first."""

    active: ModelName
    detail: str | None = Field(description="The reason why the champion is not serving; null if it is.")
    model_name: str
    versions: list[ModelVersion]


class LoadBody(Body):
    """The version to load now, by alias or by number. A numbered version serves until the next load or restart."""

    alias: Literal["champion", "challenger"] | None = None
    version: Annotated[str, Field(pattern=r"^[0-9]{1,9}$")] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "LoadBody":
        if (self.alias is None) == (self.version is None):
            raise ValueError('expected either "alias" or "version"')
        return self
