"""Forecasts over HTTP: the model, the order, the cache and the recorded events."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract_validation import decode
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.prediction import ModelPredictionServed
from lakehouse.warehouse import connect
from ml import model_registry
from serving.prediction_log.segment_file import SUFFIX
from serving.prediction_log.segment_reader import SegmentReader
from tests.serving.live_server import Api, health_of, serving
from tests.serving.published_organisation import STRANGE
from tests.serving.topic_reader import read_until

MODEL = model_registry.MODEL_NAME


def test_serving_does_not_import_scikit_learn() -> None:
    probe = "import sys, serving.app, ml.forecast_model, ml.mlflow_client; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"


def ids_of(api: Api, headers: dict[str, str], limit: int = 1000) -> list[str]:
    found = api.client.get(f"/v1/key-results?limit={limit}", headers=headers).json()
    return [one["key_result_id"] for one in found["key_results"]]


def predict(api: Api, headers: dict[str, str], ids: list[str]) -> dict[str, Any]:
    answer = api.client.post("/predict", json={"key_result_ids": ids}, headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def query_feature_mart(api: Api, query: str) -> Any:
    """Query the feature mart, which analysts cannot read, with the API's login."""
    with connect(api.settings.require("dsn_serving")) as connection:
        return connection.execute(query.encode()).fetchone()[0]  # type: ignore[index]


def forecasts(body: dict[str, Any]) -> list[Any]:
    """Return the forecasts without their prediction ids."""
    return [{k: v for k, v in one.items() if k != "prediction_id"} for one in body["predictions"]]


def test_predictions_keep_the_order_of_the_ids_and_report_unknown_ones(api: Api, app_headers: dict[str, str]) -> None:
    asked = ["nobody's", *list(STRANGE)[::-1], "k'; DROP TABLE marts.publication; --"]
    body = predict(api, app_headers, asked)
    assert [one["key_result_id"] for one in body["predictions"]] == asked
    assert [one["status"] for one in body["predictions"]] == ["unknown", *["forecast"] * 5, "unknown"]
    assert "no key result with that id" in body["predictions"][0]["detail"]
    assert body["publication_id"] == 1


def test_a_repeated_key_result_is_an_error(api: Api, app_headers: dict[str, str]) -> None:
    """Each repetition would be recorded as a prediction of its own."""
    answer = api.client.post("/predict", json={"key_result_ids": ["markup", "rtl", "markup"]}, headers=app_headers)
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "#/key_result_ids")
    assert "'markup' is repeated" in error["detail"]


def test_a_forecast_is_a_probability_an_interval_and_reasons_by_the_champion(
    api: Api, app_headers: dict[str, str]
) -> None:
    body = predict(api, app_headers, ids_of(api, app_headers))
    assert body["model"] == {"name": MODEL, "version": "1", "role": "champion"}
    predictions = [one for one in body["predictions"] if one["status"] == "forecast"]
    assert len(predictions) > 20
    for one in predictions:
        assert 0 <= one["low"] <= one["high"] <= 1
        assert 0 <= one["probability"] <= 1
        assert one["level"] == 0.9
        assert one["reasons"]
        assert one["as_of"] <= body["data_as_of"]
    assert len({one["prediction_id"] for one in predictions}) == len(predictions)


def test_a_closed_key_result_gets_its_outcome_instead_of_a_forecast(api: Api, app_headers: dict[str, str]) -> None:
    """A closed key result used to be forecast from its last check-in, and the forecast was scored as if made before."""
    found = api.client.get("/v1/key-results?limit=1000", headers=app_headers).json()["key_results"]
    by_id = {one["key_result_id"]: one for one in found}
    predictions = predict(api, app_headers, list(by_id))["predictions"]
    running = {"on_track", "at_risk", "off_track", "no_check_in"}
    assert {one["status"] for one in predictions if by_id[one["key_result_id"]]["status"] in running} <= {
        "forecast",
        "not_forecastable",
    }
    closed = [one for one in predictions if by_id[one["key_result_id"]]["is_closed"]]
    assert closed
    for one in closed:
        row = by_id[one["key_result_id"]]
        assert (one["status"], one["probability"], one["prediction_id"]) == ("closed", None, None)
        assert (one["final_score"], one["is_achieved"]) == (row["final_score"], row["is_achieved"])
        assert f"closed on {row['final_at'][:10]}" in one["detail"]
        assert row["status"] in one["detail"]


def test_forecasts_are_equal_with_and_without_the_cache(api: Api, app_headers: dict[str, str]) -> None:
    ids = ids_of(api, app_headers, 50)
    first, cached = predict(api, app_headers, ids), predict(api, app_headers, ids)
    away = api.settings.model_copy(update={"redis_url": type(api.settings.redis_url)("redis://127.0.0.1:9/0")})
    with serving(away) as without:
        computed = predict(without, without.headers("app"), ids)
        health = without.client.get("/health", headers=without.headers("app"))
    assert forecasts(first) == forecasts(cached) == forecasts(computed)
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["checks"]["redis"]["status"] == "unavailable"


def test_every_served_prediction_becomes_an_event(api: Api, app_headers: dict[str, str]) -> None:
    body = predict(api, app_headers, [next(iter(STRANGE)), "unknown"])
    served = body["predictions"][0]
    message = read_until(api.settings, "okr_ai_predictions", lambda value: served["prediction_id"].encode() in value)
    event = decode("okr_ai_predictions", message.value, message.key).payload
    assert isinstance(event, ModelPredictionServed)
    assert event.output == {name: served[name] for name in ("probability", "low", "high", "level")}
    assert (event.subject_type, event.subject_id) == ("key_result", next(iter(STRANGE)))
    assert (event.outcome_type, event.abstained, event.experiment) == ("key_result_achieved", False, None)
    assert (event.model_name, event.model_version, event.role) == (MODEL, "1", "champion")
    assert event.publication_id == body["publication_id"]
    assert event.reasons == served["reasons"]
    assert event.cycle_id == served["cycle_id"] is not None
    assert event.trained_until is not None
    known_at = query_feature_mart(api, "SELECT max(known_at) FROM ml.key_result_outcome")
    assert event.trained_until == known_at, "the newest outcome that the model learned from"


def test_models_are_listed_with_aliases_and_metrics(api: Api, app_headers: dict[str, str]) -> None:
    body = api.client.get("/models", headers=app_headers).json()
    assert body["active"] == {"name": MODEL, "version": "1", "role": "champion"}
    assert [(one["version"], one["aliases"]) for one in body["versions"]] == [
        ("2", ["challenger"]),
        ("1", ["champion"]),
    ]
    assert body["versions"][0]["metrics"] == {"brier": 0.1}


@pytest.fixture
def champion_again(api: Api) -> Any:
    yield
    headers = api.headers("admin")
    assert api.client.post(f"/models/{MODEL}/load", json={"alias": "champion"}, headers=headers).status_code == 200


@pytest.mark.usefixtures("champion_again")
def test_a_manually_loaded_version_serves_and_is_reported_as_not_the_champion(
    api: Api, app_headers: dict[str, str]
) -> None:
    ids = [next(iter(STRANGE))]
    before = forecasts(predict(api, app_headers, ids))
    loaded = api.client.post(f"/models/{MODEL}/load", json={"version": "2"}, headers=api.headers("admin"))
    assert loaded.json()["active"] == {"name": MODEL, "version": "2", "role": "challenger"}
    body = predict(api, app_headers, ids)
    assert body["model"]["version"] == "2"
    assert forecasts(body) != before, "no forecast of the other version comes from the cache"


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        (MODEL, {"version": "99"}, 404),
        (MODEL, {"version": "1; DROP"}, 422),
        (MODEL, {"version": "1", "alias": "champion"}, 422),
        (MODEL, {}, 422),
        (MODEL, {"alias": "best"}, 422),
        ("another", {"version": "1"}, 404),
        ("..%2F..%2Fetc%2Fpasswd", {"version": "1"}, 404),
    ],
)
def test_a_version_that_cannot_be_loaded_is_an_error(api: Api, name: str, body: dict[str, str], status: int) -> None:
    answer = api.client.post(f"/models/{name}/load", json=body, headers=api.headers("admin"))
    assert answer.status_code == status
    assert health_of(api)["checks"]["model"]["version"] == "1", "the champion goes on serving"


def test_only_an_admin_may_load_a_version(api: Api, app_headers: dict[str, str]) -> None:
    answer = api.client.post(f"/models/{MODEL}/load", json={"version": "2"}, headers=app_headers)
    assert answer.status_code == 403
    assert "requires the role admin" in answer.json()["detail"]


def test_without_a_champion_the_prior_serves_and_is_named(api: Api, tmp_path: Any) -> None:
    empty = api.settings.model_copy(
        update={"mlflow_store_uri": type(api.settings.redis_url)(f"sqlite:///{tmp_path}/empty.db")}
    )
    with serving(empty) as beginning:
        headers = beginning.headers("app")
        body = predict(beginning, headers, [next(iter(STRANGE))])
        listed = beginning.client.get("/models", headers=headers).json()
        beginning.log_in()
        page = beginning.client.get("/")
    assert body["model"]["role"] == "prior"
    (prediction,) = body["predictions"]
    assert prediction["abstained"]
    assert 0 < prediction["probability"] < 1
    assert prediction["low"] <= prediction["high"]
    assert prediction["margin"] == pytest.approx(sum(prediction["contributions"].values()))
    assert "prior" in listed["detail"]
    assert listed["versions"] == []
    assert "general model" in page.text


def test_a_check_in_becomes_a_valid_event(api: Api, app_headers: dict[str, str]) -> None:
    sent = {"key_result_id": "rtl", "value": 1.5, "confidence": 0.4, "note": STRANGE["rtl"]}
    answer = api.client.post("/v1/check-ins", json=sent, headers=app_headers)
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert accepted["is_acknowledged"] is True
    event = read_until(api.settings, "okr_user_events", lambda value: accepted["event_id"].encode() in value)
    decoded = decode("okr_user_events", event.value, event.key)
    assert event.key == b"rtl"
    assert decoded.envelope.source == "okr-api/app"
    assert decoded.payload == CheckInRecorded(check_in_id=accepted["check_in_id"], **sent)


def test_without_a_broker_predictions_and_check_ins_are_spooled(api: Api, tmp_path: Path) -> None:
    away = api.settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9", "state": tmp_path})
    with serving(away) as cut_off:
        headers = cut_off.headers("app")
        started = time.monotonic()
        assert predict(cut_off, headers, [next(iter(STRANGE))])["predictions"][0]["status"] == "forecast"
        assert time.monotonic() - started < 20, "only the first look-up of the champion may be slow"
        answer = cut_off.client.post("/v1/check-ins", json={"key_result_id": "rtl", "value": 1.0}, headers=headers)
        assert answer.status_code == 202, answer.text
        assert answer.json()["is_acknowledged"] is False
    waiting = [decode(event.topic, event.value) for event in cut_off.services.write_sender.spool.oldest(1_000)]
    assert [each.envelope.type for each in waiting] == ["okr.check_in.recorded.v1"], "it is spooled for the next start"
    (segment,) = away.prediction_log_dir.glob(f"*{SUFFIX}")
    (message,), _ = SegmentReader(segment).read()
    assert decode("okr_ai_predictions", message.value, message.key).envelope.type == "okr.prediction.served.v2"


def test_a_full_spool_is_an_error_of_the_request(api: Api, tmp_path: Path) -> None:
    update = {"kafka_bootstrap": "127.0.0.1:9", "state": tmp_path, "spool_events": 1, "prediction_log_bytes": 8_192}
    full = api.settings.model_copy(update=update)
    with serving(full) as cut_off:
        headers = cut_off.headers("app")
        check_in = {"key_result_id": "rtl", "value": 1.0}
        assert cut_off.client.post("/v1/check-ins", json=check_in, headers=headers).status_code == 202
        answer = cut_off.client.post("/v1/check-ins", json=check_in, headers=headers)
        assert answer.status_code == 503
        assert "check_in_id" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        body = {"key_result_ids": list(STRANGE)[:2]}  # more than the log takes
        unrecorded = cut_off.client.post("/predict", json=body, headers=headers)
        assert unrecorded.status_code == 503
        assert "not served" in unrecorded.json()["detail"]
