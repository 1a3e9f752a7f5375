"""A model of another shape needs one folder: no route, registry code, cache or contract changes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract_validation import decode
from lakehouse.contracts.prediction import ModelPredictionServed
from lakehouse.warehouse import connect
from ml import model_registry
from tests.serving.live_server import Api
from tests.serving.models.second_model import NAME, register, serving_second_model
from tests.serving.topic_reader import read_until


@pytest.fixture(scope="module")
def two_models(running_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with connect(running_api.settings.require("dsn_owner"), autocommit=True) as owner:
        owner.execute("DELETE FROM serving.model_directive WHERE model_name = %s", [NAME])  # of other tests
    with serving_second_model(running_api.settings, tmp_path_factory.mktemp("second")) as api:
        yield api


def post(api: Api, path: str, body: dict[str, Any], user: str = "app") -> Any:
    return api.client.post(path, json=body, headers=api.headers(user))


def load(api: Api, version: str) -> Any:
    return post(api, f"/models/{NAME}/load", {"version": version}, "admin")


def test_a_second_model_of_another_shape_is_served_listed_and_recorded(two_models: Api, tmp_path: Path) -> None:
    question = {"model": NAME, "features": {"text": "raise"}}
    before = post(two_models, "/predict", question)
    assert (before.status_code, before.json()["type"]) == (503, "urn:okr:problem:not-serving")
    version = register(two_models.settings, tmp_path, ["raise revenue", "raise morale"])
    loading = load(two_models, version)
    assert loading.status_code == 202, "the application without the model's folder is a live worker, too"
    assert sorted(str(worker["problem"]) for worker in loading.json()["loading"]) == [
        "None",
        "The release that this worker runs does not have the model.",
    ]
    many = {"model": NAME, "features": [{"text": "raise", "limit": 1}, {"text": "cut"}]}
    answer = post(two_models, "/predict", many).json()
    assert [item["output"] for item in answer["predictions"]] == [
        {"titles": ["raise revenue"]},
        {"titles": ["cut costs"]},
    ]
    first = answer["predictions"][0]
    assert (first["model_name"], first["model_version"], first["abstained"]) == (NAME, version, False)
    assert (first["probability"], first["contributions"], answer["publication_id"]) == (None, None, None)
    message = read_until(
        two_models.settings, "okr_ai_predictions", lambda value: first["prediction_id"].encode() in value
    )
    event = decode("okr_ai_predictions", message.value, message.key).payload
    assert isinstance(event, ModelPredictionServed)
    assert (event.model_name, event.subject_type, event.subject_id) == (NAME, "request", first["prediction_id"])
    assert event.output == {"titles": ["raise revenue"]}
    models = two_models.client.get("/models", headers=two_models.headers()).json()["models"]
    listed = next(model for model in models if model["name"] == NAME)
    assert (listed["takes_key_result_ids"], listed["active"]["version"]) == (False, version)
    assert listed["input"]["required"] == ["text"]
    assert listed["versions"][0]["metrics"] == {"recall": 0.5}


def test_a_version_whose_golden_row_differs_is_not_served(two_models: Api, tmp_path: Path) -> None:
    good = register(two_models.settings, tmp_path / "good", ["raise revenue", "raise morale"])
    assert load(two_models, good).status_code == 202
    bad = register(two_models.settings, tmp_path / "bad", ["raise costs"])
    answer = load(two_models, bad)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:okr:problem:not-loadable")
    assert "Golden row 1" in answer.json()["detail"]
    served = post(two_models, "/predict", {"model": NAME, "features": {"text": "raise"}}).json()
    assert served["predictions"][0]["model_version"] == good


def test_requests_that_do_not_fit_the_model_say_so(two_models: Api) -> None:
    unknown = post(two_models, "/predict", {"model": "title_word", "features": {"text": "raise"}})
    assert (unknown.status_code, unknown.json()["similar"]) == (404, [NAME])
    ids = post(two_models, "/predict", {"model": NAME, "key_result_ids": ["k"]})
    assert (ids.status_code, ids.json()["type"]) == (422, "urn:okr:problem:not-applicable")
    both = post(two_models, "/predict", {"key_result_ids": ["k"], "features": {}})
    assert both.status_code == 422
    wrong = post(two_models, "/predict", {"model": NAME, "features": [{"text": "a"}, {"txt": "b"}]})
    assert [each["pointer"] for each in wrong.json()["errors"]] == ["#/features/1/txt", "#/features/1/text"]
    assert model_registry.MODEL_NAME in [model["name"] for model in _models(two_models)]


def _models(api: Api) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = api.client.get("/models", headers=api.headers()).json()["models"]
    return listed
