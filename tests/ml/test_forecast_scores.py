"""Scores of forecasts, by hand for small examples."""

import math

import numpy as np
import pytest

from ml.forecast_scores import auc, brier_score, calibration_error, log_loss

OUTCOME, PROBABILITY = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.6, 1.0])


def test_scores_of_three_forecasts() -> None:
    assert brier_score(OUTCOME, PROBABILITY) == pytest.approx((0.04 + 0.16) / 3)
    assert log_loss(OUTCOME, PROBABILITY) == pytest.approx(-(math.log(0.8) + math.log(0.6) + math.log(1 - 1e-6)) / 3)
    assert auc(OUTCOME, PROBABILITY) == 1.0
    assert calibration_error(OUTCOME, PROBABILITY) == pytest.approx((0.2 + 0.4) / 3)


def test_a_certain_forecast_that_is_wrong_has_a_finite_log_loss() -> None:
    assert log_loss(np.array([1.0, 0.0]), np.array([0.0, 0.0])) == pytest.approx(-math.log(1e-6) / 2, rel=1e-4)


def test_ties_count_half_in_the_auc() -> None:
    assert auc(np.array([0.0, 1.0]), np.array([0.5, 0.5])) == 0.5


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_equal_outcomes_have_a_brier_score_and_a_log_loss_but_no_auc(outcome: float) -> None:
    alike, probability = np.full(3, outcome), np.array([0.2, 0.2, 0.2])
    assert brier_score(alike, probability) == pytest.approx((outcome - 0.2) ** 2)
    assert log_loss(alike, probability) == pytest.approx(-math.log(0.2 if outcome else 0.8))
    assert math.isnan(auc(alike, probability))
