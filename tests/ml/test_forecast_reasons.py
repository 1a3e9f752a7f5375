import re
from typing import Any

import numpy as np
import pytest

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml.feature_mart import REQUIRED_FEATURES, read_current
from ml.feature_rows import Rows, rows_of_mappings
from ml.fit_model import fit
from ml.forecast_model import ForecastModel
from ml.hyperparameters import Hyperparameters
from ml.prior_forecast import PRIOR, PriorForecaster
from ml.train_test_split import everything_closed


@pytest.fixture(scope="module")
def model(history: Rows, hyperparameters: Hyperparameters) -> ForecastModel:
    return fit(history.take(everything_closed(history)), hyperparameters)


@pytest.fixture(scope="module")
def current(published: Settings) -> list[dict[str, Any]]:
    with connect(published.require("dsn_serving")) as connection:
        return read_current(connection)


def test_explanations_sum_to_the_log_odds(model: ForecastModel, current: list[dict[str, Any]]) -> None:
    rows = rows_of_mappings(current, REQUIRED_FEATURES)
    contributions = model.contributions(rows)
    assert np.abs(sum(contributions.values()) - model.margins(rows)).max() < 1e-4
    assert len(set(rows.numbers("confidence"))) > 3, "no row has a confidence: the test proves little"


def test_reasons_name_the_numbers_behind_them(model: ForecastModel, current: list[dict[str, Any]]) -> None:
    row = next(row for row in current if row["check_ins"] > 2 and row["progress_ratio"] < 0.6)
    row |= {"confidence": 0.05, "days_since_check_in": 20.0, "days_remaining": 12.0}
    forecast = model.forecast([row])[0]
    reasons = " ".join(forecast.reasons)
    assert 0 <= forecast.low <= forecast.high <= 1
    assert "The owner's confidence is 5%. This divides the odds" in reasons
    assert "% per week is needed for a score of 0.7" in reasons
    assert "The last check-in is 20 days old" in forecast.reasons[-1]
    assert len(forecast.reasons) <= 4


def test_the_needed_pace_is_the_missing_progress_per_week_since_the_last_check_in(
    model: ForecastModel, current: list[dict[str, Any]]
) -> None:
    reasons = []
    for row, forecast in zip(current, model.forecast(current), strict=True):
        weeks = (row["days_since_check_in"] + row["days_remaining"]) / 7
        for shown in re.findall(r"([\d.]+)% per week is needed for a score of 0\.7", " ".join(forecast.reasons)):
            assert float(shown) == pytest.approx(100 * (0.7 - row["progress_ratio"]) / weeks, abs=0.1, rel=0.01)
            reasons.append(row["days_since_check_in"])
    assert max(reasons) > 1, "no reason of a check-in some days ago: the test proves little"


def test_a_key_result_without_check_ins_is_forecast_from_others_without_any_for_as_long(
    model: ForecastModel, current: list[dict[str, Any]]
) -> None:
    row = current[0] | {"check_ins": 0, "elapsed_ratio": 0.35}
    forecast = model.forecast([row])[0]
    assert forecast.probability == model.no_check_in.achieved[3]
    assert "There is no check-in yet, 35% into the cycle." in forecast.reasons[0]


@pytest.mark.parametrize("forecaster", ["model", "prior"])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "fast"])
def test_a_feature_that_is_not_a_number_is_named(
    model: ForecastModel, current: list[dict[str, Any]], forecaster: str, value: object
) -> None:
    either = model if forecaster == "model" else PriorForecaster()
    with pytest.raises(PermanentError, match="log_pace_ratio_7d"):
        either.forecast([current[0] | {"log_pace_ratio_7d": value}])


def test_a_missing_feature_is_named(model: ForecastModel, current: list[dict[str, Any]]) -> None:
    row = {name: value for name, value in current[0].items() if name != "remaining_ratio"}
    with pytest.raises(PermanentError, match="Row 1 lacks the features remaining_ratio"):
        model.forecast([current[0], row])


def test_the_prior_explains_its_forecasts_and_its_interval_agrees_with_its_probability(
    current: list[dict[str, Any]],
) -> None:
    forecasts = PriorForecaster().forecast(current)
    margins = PRIOR.margins(rows_of_mappings(current, REQUIRED_FEATURES))
    for row, forecast, margin in zip(current, forecasts, margins, strict=True):
        assert forecast.probability == pytest.approx(1 / (1 + np.exp(-margin)), abs=1e-12)
        assert sum(forecast.contributions.values()) == pytest.approx(forecast.margin, abs=1e-12)
        assert 0 <= forecast.low <= forecast.high <= 1
        assert forecast.low < 0.7 or forecast.probability >= 0.9
        assert forecast.high >= 0.7 or forecast.probability <= 0.1
        assert "odds" in forecast.reasons[0], row
    assert len({round(each.probability, 3) for each in forecasts}) > len(forecasts) / 2, "all forecasts are alike"


def test_the_prior_forecasts_a_key_result_without_check_ins_from_its_baseline(current: list[dict[str, Any]]) -> None:
    row = current[0] | {"check_ins": 0, "elapsed_ratio": 0.35, "progress_ratio": 0.0, "noise_ratio": 0.5}
    (forecast,) = PriorForecaster().forecast([row])
    assert forecast.reasons[0] == (
        "There is no check-in yet, 35% into the cycle, so the value is assumed to be at its baseline."
    )
    assert 0.01 < forecast.probability < 0.6
    assert not any("old" in reason for reason in forecast.reasons)


def test_current_rows_are_the_latest_of_each_key_result(published: Settings, history: Rows) -> None:
    asked = sorted(set(history["key_result"]))[:5]
    with connect(published.require("dsn_serving")) as connection:
        rows = read_current(connection, [*asked, "unknown"])
        assert read_current(connection, []) == []
    for row in rows:
        assert row["as_of"] == max(history["as_of"][history["key_result_id"] == row["key_result_id"]])
        assert row["unit"]
    assert {row["key_result_id"] for row in rows} == set(asked)
