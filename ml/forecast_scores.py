"""Score forecasts against outcomes, using scikit-learn where possible. `serving` never imports this module."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

CLIP = 1e-6
COVERAGE_TOLERANCE = 1e-6
BINS = 10
LABELS = (0.0, 1.0)


def scores(
    outcome: "NDArray[float64]", probability: "NDArray[float64]", rank_by: "NDArray[float64] | None" = None
) -> dict[str, float]:
    """Return the Brier score, log loss, ROC AUC and calibration error. The AUC ranks by `rank_by`, if it is given."""
    return {
        "brier": brier_score(outcome, probability),
        "log_loss": log_loss(outcome, probability),
        "auc": auc(outcome, probability if rank_by is None else rank_by),
        "ece": calibration_error(outcome, probability),
    }


def brier_score(outcome: "NDArray[float64]", probability: "NDArray[float64]") -> float:
    """Return the mean squared difference between probability and outcome; 0 is perfect."""
    from sklearn.metrics import brier_score_loss

    return float(brier_score_loss(outcome, probability, pos_label=1.0))


def log_loss(outcome: "NDArray[float64]", probability: "NDArray[float64]") -> float:
    """Return the mean negative log-likelihood.

    Probabilities are clipped to 1e-6 and 1 - 1e-6, because the pacing rule predicts 0 or 1.
    """
    import numpy as np
    from sklearn.metrics import log_loss as sklearn_log_loss

    return float(sklearn_log_loss(outcome, np.clip(probability, CLIP, 1 - CLIP), labels=LABELS))


def auc(outcome: "NDArray[float64]", rank_by: "NDArray[float64]") -> float:
    """Return the area under the ROC curve, or NaN if all outcomes are the same."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(outcome, rank_by)) if len(set(outcome)) > 1 else float("nan")


def calibration_error(outcome: "NDArray[float64]", probability: "NDArray[float64]") -> float:
    """Return the expected calibration error over ten equal-width bins, weighted by their number of rows.

    scikit-learn does not provide this score, and its `calibration_curve` does not return the number of rows per bin.
    """
    import numpy as np

    bins = np.minimum((probability * BINS).astype(np.int_), BINS - 1)
    return float(np.abs(np.bincount(bins, probability - outcome, BINS)).sum() / len(outcome))


def coverage(score: "NDArray[float64]", low: "NDArray[float64]", high: "NDArray[float64]") -> dict[str, float]:
    """Return the share of final scores that are inside their intervals, and the mean width of the intervals."""
    import numpy as np

    inside = (low - COVERAGE_TOLERANCE <= score) & (score <= high + COVERAGE_TOLERANCE)
    return {"interval_coverage": float(np.mean(inside)), "interval_width": float(np.mean(high - low))}
