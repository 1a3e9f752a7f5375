"""POST /predict with named features of the key-result forecast."""

import math
from datetime import datetime
from typing import Any

import pytest

from lakehouse.warehouse import connect
from ml.feature_mart import REQUIRED_FEATURES, read_current
from ml.golden_rows import ROWS
from ml.model_registry import MODEL_NAME
from tests.serving.live_server import Api

GOOD: dict[str, Any] = dict(ROWS[0])


def predict(api: Api, headers: dict[str, str], body: dict[str, Any]) -> Any:
    return api.client.post("/predict", json=body, headers=headers)


def test_one_row_and_many_rows_are_forecast_with_contributions_that_add_up(
    api: Api, app_headers: dict[str, str]
) -> None:
    one = predict(api, app_headers, {"features": GOOD}).json()["predictions"]
    many = predict(api, app_headers, {"features": [dict(row) for row in ROWS], "model": MODEL_NAME}).json()
    assert [item["probability"] for item in one] == [many["predictions"][0]["probability"]]
    assert (many["publication_id"], many["model"]["version"]) == (None, "1")
    for item in many["predictions"]:
        assert 0.0 <= item["low"] <= item["high"] <= 1.0
        assert item["probability"] == pytest.approx(1 / (1 + math.exp(-item["margin"])), abs=1e-9)
        assert sum(item["contributions"].values()) == pytest.approx(item["margin"], abs=1e-9)
        assert item["reasons"]
        assert (item["key_result_id"], item["as_of"], item["abstained"]) == (None, None, False)
        assert (item["model_name"], item["model_version"]) == (MODEL_NAME, "1")


def test_forecasts_by_id_have_contributions_that_add_up_and_are_equal_to_those_of_their_features(
    api: Api, app_headers: dict[str, str]
) -> None:
    with connect(api.settings.require("dsn_serving")) as connection:
        rows = [row for row in read_current(connection) if row["as_of_kind"] == "current"][:30]
    by_id = predict(api, app_headers, {"key_result_ids": [row["key_result_id"] for row in rows]}).json()["predictions"]
    features = [{name: row[name] for name in REQUIRED_FEATURES} for row in rows]
    by_features = predict(api, app_headers, {"features": features}).json()["predictions"]
    for row, one, other in zip(rows, by_id, by_features, strict=True):
        assert one["status"] == "forecast"
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-9)
        assert one["contributions"] == pytest.approx(other["contributions"], abs=1e-6)  # XGBoost's have 32 bits
        assert sum(one["contributions"].values()) == pytest.approx(one["margin"], abs=1e-9)
        assert datetime.fromisoformat(one["known_at"]) == row["known_at"]


def test_invalid_features_are_named_in_a_problem_document(api: Api, app_headers: dict[str, str]) -> None:
    row = {name: value for name, value in GOOD.items() if name != "check_ins"}
    answer = predict(api, app_headers, {"features": {**row, "confidence": 70, "speed": 1}})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:okr:problem:invalid-features")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["#/features/0/speed", "#/features/0/check_ins"]
    answer = predict(api, app_headers, {"features": {**GOOD, "confidence": 70}})
    assert "#/features/0/confidence" in answer.text


@pytest.mark.parametrize("features", [[], [{}] * 1001, "all", 7, [7], None])
def test_features_of_another_form_are_invalid(api: Api, app_headers: dict[str, str], features: Any) -> None:
    assert predict(api, app_headers, {"features": features}).status_code == 422
