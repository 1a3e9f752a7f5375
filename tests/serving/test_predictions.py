"""Forecasts over HTTP: which model, in which order, from where, and told to the log."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ingestion.event_codec import decode
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.prediction import PredictionServed
from lakehouse.warehouse import connect
from ml import model_registry
from tests.serving.live_server import Api, serving
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


def analyst_of_features(api: Api, query: str) -> Any:
    """Ask the feature mart, which analysts do not see, as the API does."""
    with connect(api.settings.require("dsn_serving")) as connection:
        return connection.execute(query.encode()).fetchone()[0]  # type: ignore[index]


def forecasts(body: dict[str, Any]) -> list[Any]:
    """What was forecast, without the ids of the answers."""
    return [{k: v for k, v in one.items() if k != "prediction_id"} for one in body["predictions"]]


def test_answers_keep_the_order_and_name_each_unknown_id(api: Api, app_headers: dict[str, str]) -> None:
    asked = ["nobody's", *list(STRANGE)[::-1], "k'; DROP TABLE marts.publication; --", next(iter(STRANGE))]
    body = predict(api, app_headers, asked)
    assert [one["key_result_id"] for one in body["predictions"]] == asked
    assert [one["status"] for one in body["predictions"]] == ["unknown", *["forecast"] * 5, "unknown", "forecast"]
    assert "no key result of that id" in body["predictions"][0]["detail"]
    assert body["publication_id"] == 1


def test_a_forecast_is_a_probability_an_interval_and_reasons_by_the_champion(
    api: Api, app_headers: dict[str, str]
) -> None:
    body = predict(api, app_headers, ids_of(api, app_headers))
    assert body["model"] == {"name": MODEL, "version": "1", "role": "champion"}
    told = [one for one in body["predictions"] if one["status"] == "forecast"]
    assert len(told) > 20
    for one in told:
        assert 0 <= one["low"] <= one["high"] <= 1
        assert 0 <= one["probability"] <= 1
        assert one["level"] == 0.9
        assert one["reasons"]
        assert one["as_of"] <= body["data_as_of"]
    assert len({one["prediction_id"] for one in told}) == len(told)


def test_what_has_ended_is_told_instead_of_forecast(api: Api, app_headers: dict[str, str]) -> None:
    """A closed key result used to be forecast from its last check-in, and the forecast was scored as if made before."""
    found = api.client.get("/v1/key-results?limit=1000", headers=app_headers).json()["key_results"]
    by_id = {one["key_result_id"]: one for one in found}
    told = predict(api, app_headers, list(by_id))["predictions"]
    running = {"on_track", "at_risk", "off_track", "no_check_in"}
    assert {one["status"] for one in told if by_id[one["key_result_id"]]["status"] in running} <= {
        "forecast",
        "not_forecastable",
    }
    closed = [one for one in told if by_id[one["key_result_id"]]["is_closed"]]
    assert closed
    for one in closed:
        row = by_id[one["key_result_id"]]
        assert (one["status"], one["probability"], one["prediction_id"]) == ("closed", None, None)
        assert (one["final_score"], one["is_achieved"]) == (row["final_score"], row["is_achieved"])
        assert f"closed on {row['final_at'][:10]}" in one["detail"]
        assert row["status"] in one["detail"]


def test_the_same_is_answered_from_the_cache_and_without_redis(api: Api, app_headers: dict[str, str]) -> None:
    ids = ids_of(api, app_headers, 50)
    first, cached = predict(api, app_headers, ids), predict(api, app_headers, ids)
    away = api.settings.model_copy(update={"redis_url": type(api.settings.redis_url)("redis://127.0.0.1:9/0")})
    with serving(away) as without:
        computed = predict(without, without.headers("app"), ids)
        health = without.client.get("/health")
    assert forecasts(first) == forecasts(cached) == forecasts(computed)
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["checks"]["redis"]["status"] == "unavailable"


def test_every_served_prediction_becomes_an_event(api: Api, app_headers: dict[str, str]) -> None:
    body = predict(api, app_headers, [next(iter(STRANGE)), "unknown"])
    served = body["predictions"][0]
    event = read_until(api.settings, "okr_ai_predictions", lambda value: served["prediction_id"].encode() in value)
    told = decode("okr_ai_predictions", event.value, event.key).payload
    assert isinstance(told, PredictionServed)
    assert (told.probability, told.low, told.high) == (served["probability"], served["low"], served["high"])
    assert (told.model_name, told.model_version, told.role) == (MODEL, "1", "champion")
    assert told.publication_id == body["publication_id"]
    assert told.reasons == served["reasons"]
    assert told.cycle_id == served["cycle_id"] is not None
    assert told.trained_until is not None
    known_at = analyst_of_features(api, "SELECT max(known_at) FROM ml.key_result_outcome")
    assert told.trained_until == known_at, "the newest outcome that the model learned from"


def test_models_are_listed_with_aliases_and_metrics(api: Api, app_headers: dict[str, str]) -> None:
    body = api.client.get("/models", headers=app_headers).json()
    assert body["answering"] == {"name": MODEL, "version": "1", "role": "champion"}
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
def test_a_version_loaded_by_hand_answers_and_says_that_it_is_no_champion(
    api: Api, app_headers: dict[str, str]
) -> None:
    ids = [next(iter(STRANGE))]
    before = forecasts(predict(api, app_headers, ids))
    loaded = api.client.post(f"/models/{MODEL}/load", json={"version": "2"}, headers=api.headers("admin"))
    assert loaded.json()["answering"] == {"name": MODEL, "version": "2", "role": "challenger"}
    body = predict(api, app_headers, ids)
    assert body["model"]["version"] == "2"
    assert forecasts(body) != before, "no forecast of the other version came from the cache"


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
def test_what_cannot_be_loaded_is_told(api: Api, name: str, body: dict[str, str], status: int) -> None:
    answer = api.client.post(f"/models/{name}/load", json=body, headers=api.headers("admin"))
    assert answer.status_code == status
    assert api.client.get("/health").json()["checks"]["model"]["version"] == "1", "the champion goes on answering"


def test_loading_is_for_the_admin(api: Api, app_headers: dict[str, str]) -> None:
    answer = api.client.post(f"/models/{MODEL}/load", json={"version": "2"}, headers=app_headers)
    assert answer.status_code == 403
    assert "admin may" in answer.json()["detail"]


def test_without_a_champion_the_pacing_rule_answers_and_says_so(api: Api, tmp_path: Any) -> None:
    empty = api.settings.model_copy(
        update={"mlflow_store_uri": type(api.settings.redis_url)(f"sqlite:///{tmp_path}/empty.db")}
    )
    with serving(empty) as beginning:
        headers = beginning.headers("app")
        body = predict(beginning, headers, [next(iter(STRANGE))])
        listed = beginning.client.get("/models", headers=headers).json()
        beginning.log_in()
        page = beginning.client.get("/")
    assert body["model"]["role"] == "pacing_rule"
    assert body["predictions"][0]["probability"] == 0.0
    assert "pacing rule" in listed["detail"]
    assert listed["versions"] == []
    assert "Off pace" in page.text


def test_a_check_in_becomes_an_event_that_keeps_its_contract(api: Api, app_headers: dict[str, str]) -> None:
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


def test_without_a_broker_predictions_and_check_ins_wait_on_disk(api: Api, tmp_path: Path) -> None:
    away = api.settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9", "state": tmp_path})
    with serving(away) as cut_off:
        headers = cut_off.headers("app")
        begun = time.monotonic()
        assert predict(cut_off, headers, [next(iter(STRANGE))])["predictions"][0]["status"] == "forecast"
        assert time.monotonic() - begun < 20, "only the first look at the registry may take a while"
        answer = cut_off.client.post("/v1/check-ins", json={"key_result_id": "rtl", "value": 1.0}, headers=headers)
        assert answer.status_code == 202, answer.text
        assert answer.json()["is_acknowledged"] is False
    for outbox, event_type in (
        (cut_off.services.forecast_log, "okr.prediction.served.v1"),
        (cut_off.services.outbox, "okr.check_in.recorded.v1"),
    ):
        waiting = [decode(event.topic, event.value).envelope.type for event in outbox.spool.oldest(1_000)]
        assert event_type in waiting, "it is there for the next start"


def test_what_the_spool_cannot_take_is_answered_with_an_error(api: Api, tmp_path: Path) -> None:
    full = api.settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9", "state": tmp_path, "spool_events": 1})
    with serving(full) as cut_off:
        headers = cut_off.headers("app")
        check_in = {"key_result_id": "rtl", "value": 1.0}
        assert cut_off.client.post("/v1/check-ins", json=check_in, headers=headers).status_code == 202
        answer = cut_off.client.post("/v1/check-ins", json=check_in, headers=headers)
        assert answer.status_code == 503
        assert "check_in_id" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        body = {"key_result_ids": list(STRANGE)[:2]}  # more than its own spool of one event takes
        unrecorded = cut_off.client.post("/predict", json=body, headers=headers)
        assert unrecorded.status_code == 503
        assert "not given" in unrecorded.json()["detail"]
