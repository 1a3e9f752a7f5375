"""Request and response bodies of /predict."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from lakehouse.achieved_score import ACHIEVED_SCORE
from serving.models.catalog import DEFAULT_MODEL
from serving.schemas import Body, Id, distinct

MAX_ROWS = 1_000
FeatureRow = dict[str, Any]


class PredictBody(Body):
    """Either ids of key results, or rows of named features; and the model that should predict.

    The response has the same order. GET /models describes the features of each model.
    """

    model: Id = DEFAULT_MODEL
    key_result_ids: (
        Annotated[
            list[Id],
            Field(min_length=1, max_length=MAX_ROWS, json_schema_extra={"uniqueItems": True}),
            AfterValidator(distinct),
        ]
        | None
    ) = None
    features: (
        Annotated[list[FeatureRow], Field(min_length=1, max_length=MAX_ROWS)] | Annotated[FeatureRow, Field()] | None
    ) = Field(None, description="One row of named features, or a list of rows.")

    reasons: bool = Field(
        True, description="Whether to compute reasons and contributions; false is faster. Only for `features`."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "PredictBody":
        if (self.key_result_ids is None) == (self.features is None):
            raise ValueError('expected either "key_result_ids" or "features"')
        if self.key_result_ids is not None and not self.reasons:
            raise ValueError('"reasons": false is only for "features"; forecasts of key results always have reasons')
        return self

    @property
    def rows(self) -> list[FeatureRow]:
        """The rows of features."""
        return [self.features] if isinstance(self.features, dict) else self.features or []


class ModelName(BaseModel):
    """The version that predicts outside of experiments. If no model has been promoted, this is the prior."""

    name: str
    version: str
    role: str = Field(description="champion, challenger, or the name of the rule.")


class PredictionItem(BaseModel):
    """A forecast of one key result, or why there is none: it is closed or archived, or its cycle is not running.

    For named features, key_result_id, cycle_id, as_of and known_at are null. Fields of a model's output for which this
    object has no field are in `output`.
    """

    key_result_id: str | None
    status: Literal["forecast", "unknown", "not_forecastable", "closed", "archived", "awaiting_close"]
    detail: str | None = Field(None, description="The reason why there is no forecast; null if there is one.")
    cycle_id: str | None = Field(None, description="The cycle whose final score is forecast.")
    final_score: float | None = Field(None, description="The final score; null unless the key result is closed.")
    is_achieved: bool | None = Field(None, description="Whether it was achieved; null unless the key result is closed.")
    prediction_id: str | None = Field(None, description="The id of the prediction, e.g. in marts.fct_prediction.")
    probability: float | None = Field(None, description=f"P(final score >= {ACHIEVED_SCORE}), calibrated.")
    low: float | None = Field(None, description="Lower end of the interval of the final score (0-1).")
    high: float | None = Field(None, description="Upper end of the interval of the final score (0-1).")
    level: float | None = Field(
        None, description="The share of final scores that such intervals should contain, e.g. 0.9."
    )
    output: dict[str, Any] | None = Field(None, description="Further fields of the model's output; null if none.")
    abstained: bool | None = Field(
        None, description="Whether the prior predicts, because no trained version of the model is better."
    )
    reasons: list[str] = Field(
        default_factory=list, description="The strongest effects on the probability, strongest first."
    )
    contributions: dict[str, float] | None = Field(
        None,
        description="Effects of the features, and `base`. Their sum is `margin`. Null if the model has none.",
    )
    margin: float | None = Field(None, description="The log-odds of the probability; null if the model has none.")
    model_name: str | None = Field(None, description="The model or rule that predicted.")
    model_version: str | None = Field(None, description="The version of this model or rule.")
    experiment: str | None = Field(None, description="The experiment that the prediction belongs to.")
    arm: str | None = Field(None, description="The arm of the experiment that the unit is assigned to.")
    as_of: datetime | None = Field(None, description="The time that the forecast's features describe, UTC.")
    known_at: datetime | None = Field(None, description="The time at which the features' newest event was known, UTC.")


class PredictResponse(BaseModel):
    """Predictions in the order of the request, all from the same publication.

    `model` predicts outside of experiments; with an experiment running, see `model_version` of each prediction. For
    named features, publication_id and data_as_of are null.
    """

    publication_id: int | None = Field(description="The publication from which all forecasts were computed.")
    data_as_of: datetime | None = Field(description="Time of the newest record in that publication, UTC.")
    model: ModelName
    predictions: list[PredictionItem]
