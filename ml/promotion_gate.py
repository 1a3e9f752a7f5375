"""Promote a version to champion only if it beats the current champion and the prior."""

from dataclasses import dataclass, replace
from typing import Literal

from lakehouse.errors import PermanentError
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml import model_registry
from ml.champion import champion_version, set_champion, was_rolled_back
from ml.feature_mart import read_history
from ml.feature_rows import Rows
from ml.fit_model import InsufficientData
from ml.forecast_model import ForecastModel
from ml.forecast_scores import brier_score
from ml.prior_forecast import prior_probabilities
from ml.train_test_split import Period, closed_periods, evaluable_periods, labelled, split_at

MIN_GAIN = 1e-6  # of the Brier score; retraining on the same data must not count as an improvement


@dataclass(frozen=True)
class Decision:
    """The gate's decision, including the forecaster that serves forecasts from now on.

    `outcome` is "promoted" if the version becomes the champion, "kept" if nothing changes, "withdrawn" if the champion
    is removed, and "rejected" if there is no champion and the version does not beat the prior. All Brier scores
    are computed on the same check-ins; `rows` is their number.
    """

    outcome: Literal["promoted", "kept", "withdrawn", "rejected"]
    serving: Literal["model", "prior"]
    version: str
    reason: str
    rows: int
    candidate_brier: float
    prior_brier: float
    champion_brier: float | None


def promote_if_better(settings: Settings, reference: str = model_registry.CHALLENGER) -> Decision:
    """Evaluate a version on the held-out cycle, promote it to champion if it is better, and return the decision.

    The function can be retried safely. A version that is already the champion remains the champion.

    Raises:
        PermanentError: there is no such version, or it was trained on the held-out cycle.
    """
    with connect(settings.require("dsn_serving"), application="okr-forecast") as connection:
        history = read_history(connection)
    candidate = model_registry.load(settings, reference, "evaluated")
    champion = _champion(settings)
    decision = decide(candidate, champion, history)
    if decision.outcome == "kept" and champion is not None and champion.version == candidate.version:
        return replace(decision, reason=f"It is already the champion and remains so. {_figures(decision)}")
    if decision.outcome == "promoted" and was_rolled_back(settings, candidate.version):
        reason = f"This model was rolled back earlier, so it is not promoted again. {decision.reason}"
        has_no_champion = decision.champion_brier is None
        return replace(decision, outcome="kept", serving="prior" if has_no_champion else "model", reason=reason)
    if decision.outcome == "promoted":
        set_champion(settings, candidate.version)
    elif decision.outcome == "withdrawn":
        set_champion(settings, None)
    return decision


def _champion(settings: Settings) -> ForecastModel | None:
    version = champion_version(settings)
    try:
        return model_registry.load(settings, version, "evaluated") if version else None
    except PermanentError as error:
        # Its features are incompatible or its files are missing. It cannot serve forecasts, so the candidate need not
        # beat it.
        get_logger(__name__).warning("the champion cannot be loaded", version=version, error=str(error))
        return None


def decide(candidate: ForecastModel, champion: ForecastModel | None, history: Rows) -> Decision:
    """Compare a candidate with the champion and the prior on the check-ins of the held-out cycle.

    A champion that was trained on the held-out cycle is ignored. This occurs if a late check-in makes one of the
    champion's training cycles the held-out cycle.

    Raises:
        PermanentError: no closed cycle has a check-in, or the candidate was trained on the held-out cycle.
    """
    period, test = held_out(history)
    if candidate.trained_until > str(period.start):
        raise PermanentError(
            f"Version {candidate.version} was trained on cycles until {candidate.trained_until}, so it cannot be "
            f"evaluated on {period}. Train again: `okr forecast train`."
        )
    if champion is not None and champion.trained_until > str(period.start):
        get_logger(__name__).warning("the champion was trained on the held-out cycle", version=champion.version)
        champion = None
    achieved = test.outcomes()
    prior_brier = brier_score(achieved, prior_probabilities(test))
    candidate_brier = brier_score(achieved, candidate.probabilities(test))
    champion_brier = None if champion is None else brier_score(achieved, champion.probabilities(test))
    outcome, reason = _outcome(candidate_brier, prior_brier, champion_brier)
    serving: Literal["model", "prior"] = "model" if outcome in {"promoted", "kept"} else "prior"
    return Decision(
        outcome, serving, candidate.version, reason, len(test), candidate_brier, prior_brier, champion_brier
    )


def held_out(history: Rows) -> tuple[Period, Rows]:
    """Return the newest closed period on which a model can be evaluated, and its labelled check-ins.

    Raises:
        InsufficientData: no cycle has closed, or no closed cycle has a labelled check-in.
    """
    closed, periods = closed_periods(history), evaluable_periods(history)
    if not closed:
        raise InsufficientData("No cycle has closed, so no forecast can be evaluated. The prior serves forecasts.")
    if not periods:
        raise InsufficientData(
            f"No closed cycle until {closed[-1]} has a labelled check-in, so nothing can be evaluated. "
            "The active model continues to serve forecasts. Check in before closing key results, then run this again."
        )
    split = split_at(history, periods[-1])
    return periods[-1], history.take(split.test & labelled(history))


def _figures(decision: Decision) -> str:
    return f"Brier {decision.candidate_brier:.4f}; prior {decision.prior_brier:.4f}."


def _outcome(
    candidate: float, prior: float, champion: float | None
) -> tuple[Literal["promoted", "kept", "withdrawn", "rejected"], str]:
    figures = f"Brier {candidate:.4f}; prior {prior:.4f}; champion {'none' if champion is None else f'{champion:.4f}'}"
    if candidate < prior and (champion is None or candidate < champion - MIN_GAIN):
        return "promoted", f"It beats the prior and the champion on the held-out cycle ({figures})."
    if champion is not None and champion < prior:
        return "kept", f"The champion remains, because the candidate is not better on the held-out cycle ({figures})."
    if champion is not None:
        return (
            "withdrawn",
            f"Neither the champion nor the candidate beats the prior, so the prior serves forecasts ({figures}).",
        )
    return "rejected", f"The candidate does not beat the prior, so the prior serves forecasts ({figures})."
