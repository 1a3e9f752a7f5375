import numpy as np
import pytest

from ml.feature_rows import Rows
from ml.forecast_scores import log_loss
from ml.noise_prior import PRIOR_COEFFICIENTS, PRIOR_INTERCEPT
from ml.noise_regression import NOISE_FEATURES, NoiseRegression, fit_noise_regression, noise_matrix
from tests.ml.made_up_rows import closed_cycles

PRIOR = NoiseRegression()


def changed(rows: Rows, **columns: float) -> Rows:
    return Rows({**rows.columns, **{name: np.full(len(rows), value) for name, value in columns.items()}})


def test_without_closed_cycles_the_prior_forecasts() -> None:
    none = closed_cycles(2).take(np.array([], dtype=int))
    assert fit_noise_regression(none) == PRIOR
    assert PRIOR.coefficients == tuple(PRIOR_COEFFICIENTS.values())
    assert list(PRIOR_COEFFICIENTS) == list(NOISE_FEATURES)


def test_the_features_are_in_units_of_noise_and_bounded() -> None:
    rows = changed(closed_cycles(1), progress_ratio=0.3, noise_ratio=0.2, reversion_ratio=-0.1, season_ratio=5.0)
    rows = changed(rows, peer_drift=0.4, log_pace_ratio_7d=1.0, log_pace_ratio_14d=2.0, log_pace_ratio_28d=6.0)
    assert noise_matrix(rows)[0] == pytest.approx([-2.0, 0.4, -0.5, 6.0, 3.0])


def test_contributions_add_up_to_the_log_odds() -> None:
    rows = closed_cycles(30)
    contributions = PRIOR.contributions(rows)
    assert np.sum(list(contributions.values()), axis=0) == pytest.approx(PRIOR.margins(rows), abs=1e-12)
    assert (contributions["base"] == PRIOR_INTERCEPT).all()
    assert set(contributions) - {"base"} <= set(rows.columns)


def test_the_same_rows_in_any_order_give_the_same_numbers() -> None:
    rows = closed_cycles(40, 40)
    order = np.random.default_rng(2).permutation(len(rows))
    fitted = fit_noise_regression(rows)
    assert fitted == fit_noise_regression(rows.take(order))
    assert all(number == float(f"{number:.6g}") for number in (*fitted.coefficients, fitted.intercept))


def test_each_closed_cycle_moves_the_coefficients_further_towards_its_outcomes() -> None:
    def of_peers(cycles: int) -> float:
        fitted = fit_noise_regression(closed_cycles(*[40] * cycles, shown_by="peer_drift"))
        return fitted.coefficients[list(NOISE_FEATURES).index("peers")]

    assert PRIOR_COEFFICIENTS["peers"] < of_peers(1) < of_peers(3) < of_peers(9)


def test_many_rows_of_one_cycle_count_as_30() -> None:
    rows = closed_cycles(200, shown_by="peer_drift")
    twice = Rows({name: np.concatenate([column, column]) for name, column in rows.columns.items()})
    assert fit_noise_regression(twice).coefficients == pytest.approx(fit_noise_regression(rows).coefficients, abs=1e-5)


def test_the_fit_is_the_most_probable_one() -> None:
    rows = closed_cycles(*[10] * 8, shown_by="season_ratio")
    fitted = fit_noise_regression(rows)
    found, prior = (np.array([*each.coefficients, each.intercept]) for each in (fitted, PRIOR))
    matrix = np.column_stack([noise_matrix(rows), np.ones(len(rows))])
    weights = np.full(len(rows), 30 / 40)
    predicted = 1 / (1 + np.exp(-matrix @ found))
    gradient = matrix.T @ (weights * (predicted - rows.outcomes())) + 10.0 * (found - prior)
    assert np.abs(gradient).max() < 1e-3
    assert log_loss(rows.outcomes(), predicted) < log_loss(rows.outcomes(), 1 / (1 + np.exp(-PRIOR.margins(rows))))


def test_outcomes_that_contradict_all_features_still_give_finite_numbers_and_a_positive_scale() -> None:
    rows = closed_cycles(*[300] * 30)
    opposite = Rows({**rows.columns, "is_achieved": PRIOR.margins(rows) < 0, "noise_ratio": np.full(len(rows), 1e-9)})
    fitted = fit_noise_regression(opposite)
    assert np.isfinite([*fitted.coefficients, fitted.intercept]).all()
    assert fitted.coefficients[0] < 0
    assert (fitted.scale(opposite.numbers("noise_ratio")) > 0).all()
