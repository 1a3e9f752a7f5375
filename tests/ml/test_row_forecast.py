"""Forecasts of single rows, compared with those of the same rows in a batch."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.boosted_trees import BoostedTrees, fit_boosted
from ml.booster_trees import NotCompilable
from ml.compiled_trees import CompiledTrees
from ml.design_matrix import BOOSTED, LOGISTIC, boosted_matrix
from ml.feature_mart import PACE_RATIOS, REQUIRED_FEATURES
from ml.feature_rows import rows_of_mappings
from ml.forecast_model import ForecastModel
from ml.forecaster_protocol import Forecast
from ml.golden_rows import ROWS
from ml.hyperparameters import Hyperparameters
from ml.logistic_regression import LogisticModel
from ml.no_check_in_forecast import NoCheckInForecast
from ml.noise_regression import NoiseRegression
from ml.owner_confidence import NO_WEIGHT, OwnerWeight
from ml.row_forecast import RowForecaster, row_forecaster


@pytest.fixture(scope="module")
def model() -> ForecastModel:
    """A model with trees that are trained on random rows, and other parts of invented numbers."""
    random = np.random.default_rng(7)
    matrix = np.column_stack([random.normal(0, 2, (2_000, 5)), random.random(2_000), random.exponential(1, 2_000)])
    labels = (matrix[:, :5].mean(axis=1) + random.normal(0, 1, 2_000) > 0).astype(float)
    return ForecastModel(
        trees=fit_boosted(matrix, labels, Hyperparameters(rounds=100)),
        logistic=LogisticModel((0.31, 0.22, 0.41, -0.17), 0.13, (0.2, 0.1, -0.3, -0.9)),
        owner=OwnerWeight(0.83, 0.67, -0.21, 0.4),
        noise=NoiseRegression((0.93, 0.61, 0.37, 0.52, 0.14), -0.07),
        weight=0.61,
        scale_factor=0.73,
        no_check_in=NoCheckInForecast(tuple(each / 11 for each in range(10))),
        trained_until="2026-09-30",
    )


@pytest.fixture(scope="module")
def single(model: ForecastModel) -> RowForecaster:
    found = row_forecaster(model, ROWS)
    assert found is not None
    return found


def numbers(one: Forecast) -> tuple[float, ...]:
    return one.probability, one.low, one.high, one.margin or 0.0


ROW = st.fixed_dictionaries(
    {
        **{name: st.floats(-1e6, 1e6) | st.floats(-5, 5) for name in (*PACE_RATIOS, "log_required_pace")},
        "remaining_ratio": st.floats(1e-9, 1.0),
        "weeks_between_check_ins": st.floats(0, 1e5) | st.floats(0, 4),
        "confidence": st.none() | st.floats(0, 1),
        "progress_ratio": st.floats(-1e6, 1e6) | st.floats(-0.2, 1.2),
        "elapsed_ratio": st.floats(0, 1),
        "check_ins": st.integers(0, 3),
        "days_remaining": st.floats(0, 1e5) | st.floats(0, 90),
        "days_since_check_in": st.floats(0, 1e5) | st.floats(0, 30),
        "noise_ratio": st.floats(1e-9, 1e6) | st.floats(0.02, 2),
        "peer_drift": st.floats(-1e6, 1e6) | st.floats(-3, 3),
        "reversion_ratio": st.floats(-1e6, 1e6) | st.floats(-1, 1),
        "season_ratio": st.floats(-1e6, 1e6) | st.floats(-1, 1),
    }
)


def test_one_row_alone_has_the_same_forecast_as_in_a_batch(model: ForecastModel, single: RowForecaster) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(ROW, min_size=5, max_size=20))
    def check(rows: list[dict[str, float]]) -> None:
        for row, expected in zip(rows, model.forecast(rows), strict=True):
            one = single.forecast(row)
            short = single.forecast(row, explains=False)
            assert (one.margin is None) == (expected.margin is None)
            assert numbers(one) == pytest.approx(numbers(expected), rel=1e-12, abs=1e-12)
            assert numbers(short) == numbers(one)
            assert one.contributions == pytest.approx(expected.contributions, abs=2e-5)
            assert list(one.contributions) == list(expected.contributions)
            assert math.fsum(one.contributions.values()) == pytest.approx(one.margin or 0.0, abs=1e-12)
            assert len(one.reasons) == len(expected.reasons)
            assert (short.reasons, short.contributions) == ((), {})

    check()


def test_the_golden_rows_have_the_same_reasons_alone_as_in_a_batch(model: ForecastModel, single: RowForecaster) -> None:
    assert [single.forecast(row).reasons for row in ROWS] == [one.reasons for one in model.forecast(ROWS)]


def test_margins_of_the_trees_are_bit_equal_at_every_threshold(model: ForecastModel) -> None:
    trees = model.trees.compiled()
    random = np.random.default_rng(1)
    values = [[*trees.boundaries(each), *np.nextafter(trees.boundaries(each), -np.inf)] for each in range(len(BOOSTED))]
    matrix = np.column_stack([random.choice(each, 2_000) for each in values])
    compiled = [trees.margin(trees.outcomes(row)) for row in matrix.tolist()]
    assert np.array_equal(compiled, model.trees.margins(matrix))


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_a_model_with_another_weight_or_without_owner_weight_is_compiled(model: ForecastModel, weight: float) -> None:
    other = replace(model, owner=NO_WEIGHT, noise=NoiseRegression(), weight=weight)
    single = row_forecaster(other, ROWS)
    assert single is not None
    for row, expected in zip(ROWS, other.forecast(ROWS), strict=True):
        assert numbers(single.forecast(row)) == pytest.approx(numbers(expected), rel=1e-12, abs=1e-12)


def test_trees_that_give_other_margins_are_not_used(
    model: ForecastModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    margin = CompiledTrees.margin
    monkeypatch.setattr(
        CompiledTrees, "margin", lambda self, outcomes: float(np.nextafter(margin(self, outcomes), 9.0))
    )
    assert row_forecaster(model, ROWS) is None


def test_trees_that_cannot_be_compiled_are_scored_by_xgboost(
    model: ForecastModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_trees: BoostedTrees) -> CompiledTrees:
        raise NotCompilable("too deep")

    monkeypatch.setattr(BoostedTrees, "compiled", refuse)
    assert row_forecaster(model, ROWS) is None


def test_the_columns_of_the_golden_rows_are_those_of_the_trees() -> None:
    assert boosted_matrix(rows_of_mappings(ROWS, REQUIRED_FEATURES)).shape == (len(ROWS), len(BOOSTED))
    assert set(LOGISTIC) - {"log_remaining_ratio"} <= set(BOOSTED)
