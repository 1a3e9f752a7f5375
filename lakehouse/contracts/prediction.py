"""Contracts of events about predictions."""

from typing import Literal

import msgspec

from lakehouse.contracts.fields import Id, Moment, Ratio, Title
from lakehouse.contracts.registry import event


@event("okr.prediction.served.v1", topic="okr_ai_predictions", key="key_result_id")
class PredictionServed(msgspec.Struct, kw_only=True, frozen=True):
    """A served forecast: P(final score >= 0.7), and an interval for the final score (0-1).

    `as_of` is the time that its features describe, `publication_id` the publication from which they were read, and
    `cycle_id` the cycle whose end it predicts. `trained_until` is when the last outcome in the training data became
    known. The forecast must not be evaluated with outcomes that were known by then. It is null for a rule, which is not
    trained.
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
