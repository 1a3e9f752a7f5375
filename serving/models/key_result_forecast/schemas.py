"""The named features of the forecast, which are columns of ml.key_result_features, and its output."""

import math
from typing import Annotated

import msgspec
from msgspec import Meta

from lakehouse.achieved_score import ACHIEVED_SCORE

Number = Annotated[float, Meta(ge=-1e6, le=1e6)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
LogPaceRatio = Annotated[Number, Meta(description="asinh(10 x pace of a window) - asinh(10 x required pace)")]
Days = Annotated[float, Meta(ge=0.0, le=1e5)]
DEFAULT_VARIANCE_PER_DAY = 0.03  # of the change of a key result whose organisation is unknown, as in dbt_project
MIN_DEFAULT_NOISE = 0.02
NOISE = (
    "expected standard deviation of the change from the last check-in to the end of the cycle; if null, sqrt("
    f"{DEFAULT_VARIANCE_PER_DAY} x days from the last check-in to the end of the cycle), at least {MIN_DEFAULT_NOISE}"
)
PEERS = "recent movement of the organisation's other key results, in units of their noise; 0 if unknown"
REVERSION = "expected return to the mean of the series; 0 if unknown"
SEASON = "expected change according to the same dates of the year before; 0 if unknown"


class KeyResultFeatures(msgspec.Struct, kw_only=True, frozen=True):
    """The features of one key result as of a time.

    A pace of 1.0 covers the distance from baseline to target in exactly one cycle. A ratio is in units of the targeted
    gain, the distance from baseline to target; it is positive towards the target. dbt_project/models/ml documents each
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
    noise_ratio: Annotated[float, Meta(gt=0.0, le=1e6, description=NOISE)] | None = None
    peer_drift: Annotated[Number, Meta(description=PEERS)] = 0.0
    reversion_ratio: Annotated[Number, Meta(description=REVERSION)] = 0.0
    season_ratio: Annotated[Number, Meta(description=SEASON)] = 0.0

    def __post_init__(self) -> None:
        """Set the default of `noise_ratio`, which depends on the time left."""
        if self.noise_ratio is None:
            days = self.days_remaining + self.days_since_check_in
            noise = max(math.sqrt(DEFAULT_VARIANCE_PER_DAY * days), MIN_DEFAULT_NOISE)
            msgspec.structs.force_setattr(self, "noise_ratio", noise)


class KeyResultOutput(msgspec.Struct, kw_only=True, frozen=True):
    """The forecast of one key result. The final score is between `low` and `high` with the probability `level`."""

    probability: Annotated[Share, Meta(description=f"P(final score >= {ACHIEVED_SCORE}), calibrated")]
    low: Share
    high: Share
    level: Share
