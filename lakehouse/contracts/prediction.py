"""Contracts of events about predictions."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from lakehouse.contracts.fields import Id, LabelName, Moment, Ratio, Title
from lakehouse.contracts.registry import event

KEY_RESULT_ACHIEVED = "key_result_achieved"
KEY_RESULT, REQUEST = "key_result", "request"  # subject types
FORECAST_ROLES = ("champion", "challenger", "prior", "pacing_rule")  # earlier releases served the pacing rule
Output = Annotated[dict[LabelName, Any], Meta(max_length=64)]


@event("okr.prediction.served.v1", topic="okr_ai_predictions", key="key_result_id")
class PredictionServed(msgspec.Struct, kw_only=True, frozen=True):
    """A served forecast: P(final score >= 0.7), and an interval for the final score (0-1).

    `as_of` is the time that its features describe, `publication_id` the publication from which they were read, and
    `cycle_id` the cycle whose end it predicts. `trained_until` is when the last outcome in the training data became
    known; the forecast must not be evaluated with outcomes that were known by then. For a rule, which is not trained,
    `trained_until` is null.
    """

    prediction_id: Id
    key_result_id: Id
    as_of: Moment
    probability: Ratio
    low: Ratio
    high: Ratio
    model_name: Id
    model_version: Id
    role: Literal["champion", "challenger", "pacing_rule"]
    publication_id: int
    reasons: list[Title] = []
    cycle_id: Id | None = None
    trained_until: Moment | None = None


class ModelPrediction(msgspec.Struct, kw_only=True, frozen=True):
    """A prediction of any served model. The model's output schema defines the fields of `output`.

    `subject_type` says what the prediction is about, for example `key_result`; `subject_id` is its id. The type is
    `request` if the features came with the request, and the id is then the prediction's id.

    `outcome_type` says with which outcome the prediction can be compared. If it is `key_result_achieved`, `output` has
    `probability` (of a final score >= 0.7), `low` and `high` (an interval of that score), all 0-1, and `cycle_id` is
    the cycle whose end is predicted.

    `role` is the alias of the version, or the name of the rule that predicts while no version is better than it;
    `abstained` marks the predictions of such a rule. `experiment` and `arm` are null outside of experiments. `as_of` is
    the time that the features describe, and `known_at` the time at which they were known. `trained_until` is when the
    last outcome in the training data became known: the prediction must not be evaluated with outcomes known by then.
    """

    prediction_id: Id
    subject_type: Id
    subject_id: Id
    model_name: Id
    model_version: Id
    role: Id
    output: Output
    outcome_type: Id | None = None
    abstained: bool = False
    experiment: Id | None = None
    arm: Id | None = None
    reasons: list[Title] = []
    as_of: Moment | None = None
    known_at: Moment | None = None
    publication_id: int | None = None
    cycle_id: Id | None = None
    trained_until: Moment | None = None

    def __post_init__(self) -> None:
        for moment in (self.as_of, self.known_at, self.trained_until):
            if moment is not None and not 1970 < moment.year < 2200:
                raise ValueError(f"as_of, known_at and trained_until must be between 1970 and 2200, got {moment}")
        if self.outcome_type != KEY_RESULT_ACHIEVED:
            return
        for name in ("probability", "low", "high"):
            number = self.output.get(name)
            if not isinstance(number, (int, float)) or isinstance(number, bool) or not 0.0 <= number <= 1.0:
                raise ValueError(f"output.{name} must be a number from 0 to 1, got {number!r}")
        if self.subject_type == KEY_RESULT and self.role not in FORECAST_ROLES:
            raise ValueError(f"role must be {', '.join(FORECAST_ROLES)}, got {self.role!r}")


@event("okr.prediction.served.v2", topic="okr_ai_predictions", key="subject_id")
class ModelPredictionServed(ModelPrediction, kw_only=True, frozen=True):
    """A prediction that was returned to a caller."""


@event("okr.prediction.shadowed.v1", topic="okr_ai_predictions", key="subject_id")
class ModelPredictionShadowed(ModelPrediction, kw_only=True, frozen=True):
    """A prediction by a shadow arm for a request that another version answered. It was not returned to the caller.

    `served_prediction_id` is the prediction that was returned instead.
    """

    served_prediction_id: Id
