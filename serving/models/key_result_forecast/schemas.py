"""The named features of the forecast, which are columns of ml.key_result_features, and its output."""

from typing import Annotated

import msgspec
from msgspec import Meta

from lakehouse.achieved_score import ACHIEVED_SCORE

Number = Annotated[float, Meta(ge=-1e6, le=1e6)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
LogPaceRatio = Annotated[Number, Meta(description="asinh(10 x pace of a window) - asinh(10 x required pace)")]
Days = Annotated[float, Meta(ge=0.0, le=1e5)]


class KeyResultFeatures(msgspec.Struct, kw_only=True, frozen=True):
    """The features of one key result as of a time.

    A pace of 1.0 covers the distance from baseline to target in exactly one cycle. dbt_project/models/ml documents each
    feature.
    """

    log_pace_ratio_7d: LogPaceRatio
    log_pace_ratio_14d: LogPaceRatio
    log_pace_ratio_28d: LogPaceRatio
    log_pace_ratio_cycle: LogPaceRatio
    log_pace_ratio_trend: LogPaceRatio
    log_required_pace: Annotated[Number, Meta(description=f"asinh(10 x pace needed to reach {ACHIEVED_SCORE})")]
    remaining_ratio: Annotated[float, Meta(gt=0.0, le=1.0, description="share of the cycle left at the last check-in")]
    weeks_between_check_ins: Annotated[float, Meta(ge=0.0, le=1e5)]
    confidence: Annotated[Share, Meta(description="the owner's confidence; null if unknown")] | None = None
    progress_ratio: Annotated[Number, Meta(description="(value - baseline) / (target - baseline)")]
    elapsed_ratio: Annotated[Share, Meta(description="share of the cycle that has elapsed")]
    check_ins: Annotated[int, Meta(ge=0, le=1_000_000, description="check-ins in the cycle so far")]
    days_remaining: Days
    days_since_check_in: Days


class KeyResultOutput(msgspec.Struct, kw_only=True, frozen=True):
    """The forecast of one key result. The final score is between `low` and `high` with the probability `level`."""

    probability: Annotated[Share, Meta(description=f"P(final score >= {ACHIEVED_SCORE}), calibrated")]
    low: Share
    high: Share
    level: Share
