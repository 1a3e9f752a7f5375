"""Score the forecasters on the check-ins of closed cycles."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from infra.forecast_benchmark.cycles import ForecastCycle
from infra.forecast_benchmark.forecasters import FORECASTERS
from lakehouse.achieved_score import ACHIEVED_SCORE
from ml.forecast_scores import brier_score, calibration_error, coverage, log_loss
from ml.train_test_split import labelled

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray

    Scored = Sequence[tuple[ForecastCycle, NDArray[bool_]]]  # cycles and masks of their check-ins with outcomes


@dataclass(frozen=True)
class Score:
    """The scores of one forecaster. Coverage and width are those of the 90 % interval on open check-ins.

    A check-in is open if its value does not yet give the answer: progress is below 0.7, and it is not the last day of
    the cycle. Coverage and width are None if the forecaster has no intervals, or if no check-in is open.
    """

    rows: int
    brier: float
    log_loss: float
    ece: float
    coverage: float | None
    width: float | None


def scores_of(cycles: Sequence[ForecastCycle]) -> dict[str, Score]:
    """Return the scores by forecaster on the check-ins with outcomes, or nothing if there are none."""
    masks = [(cycle, labelled(cycle.check_ins)) for cycle in cycles if cycle.is_closed and cycle.forecasts]
    scored = [(cycle, mask) for cycle, mask in masks if mask.any()]
    return {name: _score(scored, name) for name in FORECASTERS} if scored else {}


def mean_of(scores: Sequence[Score]) -> Score:
    """Return the unweighted mean over domains of one forecaster's scores. `rows` is the total."""
    covered = [each.coverage for each in scores if each.coverage is not None]
    widths = [each.width for each in scores if each.width is not None]
    return Score(
        rows=sum(each.rows for each in scores),
        brier=fmean(each.brier for each in scores),
        log_loss=fmean(each.log_loss for each in scores),
        ece=fmean(each.ece for each in scores),
        coverage=fmean(covered) if covered else None,
        width=fmean(widths) if widths else None,
    )


def _score(scored: "Scored", name: str) -> Score:
    def column(name: str) -> "NDArray[float64]":
        return _joined([cycle.check_ins.numbers(name)[mask] for cycle, mask in scored])

    def forecast(part: str) -> "NDArray[float64]":
        return _joined([getattr(cycle.forecasts[name], part)[mask] for cycle, mask in scored])

    outcome = _joined([cycle.check_ins.take(mask).outcomes() for cycle, mask in scored])
    is_open = (column("progress_ratio") < ACHIEVED_SCORE) & (column("elapsed_ratio") < 1.0)
    interval: dict[str, float] = {}
    if is_open.any() and any(cycle.forecasts[name].has_intervals for cycle, _ in scored):
        interval = coverage(column("final_score")[is_open], forecast("low")[is_open], forecast("high")[is_open])
    return Score(
        rows=len(outcome),
        brier=brier_score(outcome, forecast("probability")),
        log_loss=log_loss(outcome, forecast("probability")),
        ece=calibration_error(outcome, forecast("probability")),
        coverage=interval.get("interval_coverage"),
        width=interval.get("interval_width"),
    )


def _joined(parts: "Sequence[NDArray[float64]]") -> "NDArray[float64]":
    import numpy as np

    return np.concatenate(parts)
